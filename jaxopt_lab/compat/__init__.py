"""Optimizers of other libraries: the same name and arguments as there, the same trajectory.

Imports `optimizers`, `schedules`, `control` and what these may import. Begin with the docstrings of
`keras` and `torch`, which say what is left out.
"""

from jaxopt_lab.compat import keras, torch

__all__ = ["keras", "torch"]
