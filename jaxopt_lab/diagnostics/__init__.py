"""Diagnoses of a network as arrays, pure and jittable, for any model and loss; verdicts in words.

Imports `core`, `linalg`, `problems` and `losses` only. Begin with `_gradient_flow.py`, then
`activations.py`, which finds the activations inside any function.
"""

from jaxopt_lab.diagnostics._activation_health import ActivationHealth, activation_health

__all__ = ["ActivationHealth", "activation_health"]
