"""Optimizers of other libraries: the same name and arguments as there, the same trajectory."""

from jaxopt_lab.compat import keras, torch

__all__ = ["keras", "torch"]
