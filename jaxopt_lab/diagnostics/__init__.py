"""Answers about a run: is it overfitting, and why.

Arrays out. May import `core`, `linalg`, `problems` and `losses`. Begin with `_fit_verdict.py`.
"""

from jaxopt_lab.diagnostics._fit_verdict import FitVerdict, fit_verdict

__all__ = ["FitVerdict", "fit_verdict"]
