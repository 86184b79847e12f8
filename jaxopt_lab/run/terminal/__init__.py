"""What a person sees while a command goes, and at its end.

May import `records`, whose results it prints. Begin with `progress.py`.
"""
