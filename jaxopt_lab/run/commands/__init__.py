"""What a person starts: one file a command.

A command may import all of the package. Begin with `train.py`, which reads from top to bottom;
`sweep.py` has the same shape.
"""
