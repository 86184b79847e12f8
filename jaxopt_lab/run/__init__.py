"""What a person starts, keeps and sees, and the machine's side of it: four rooms and a session.

`commands` are what the command line calls, `records` what is on the disk, `terminal` what is
printed, `process` signals, cores and hosts. All of the package may be imported here. Begin with
`commands/train.py`, which reads from top to bottom, and `session.py`.
"""
