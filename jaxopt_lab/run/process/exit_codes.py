"""The exit codes of a command: done, another failure, wrong input, interrupted after saving."""

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
