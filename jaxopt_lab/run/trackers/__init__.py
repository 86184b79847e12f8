"""What a run sends to other tools as it goes: TensorBoard, W&B, MLflow, and loggers of one's own.

The local log is the record: a tracker can neither stop a run, nor hold it up, nor change it.
Begin with `tracking.py`.
"""
