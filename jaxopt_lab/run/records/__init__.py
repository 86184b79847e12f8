"""What is kept: folders, logs, results, reports, and a run read back.

May import all but the commands and the session. Begin with `folder.py`, who may write and what a
folder holds, then `history.py`.
"""
