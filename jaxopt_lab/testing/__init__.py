"""What every transformation, schedule, augmentation and model promises, as functions that check it.

Each function is one promise and raises `AssertionError` with its name. The room may import `core`
and `problems`. Begin reading at `transformation.py`.
"""
