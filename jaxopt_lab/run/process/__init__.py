"""The machine's side: signals, cores, hosts, the clock.

Imports nothing else of `run`. Begin with `interrupt.py`; `distributed.py` is about several hosts,
and `together.py` with `companion.py` about the end of one of them.
"""
