"""Analytic objectives with known minima, for tests, plots and lectures.

Imports `core` only. Begin with `problem.py`: what an objective brings beside its loss.
"""

from jaxopt_lab.problems._quadratic import quadratic
from jaxopt_lab.problems._rosenbrock import rosenbrock
from jaxopt_lab.problems.problem import Problem

PROBLEMS = {f.__name__: f for f in (quadratic, rosenbrock)}

__all__ = ["PROBLEMS", "Problem", "quadratic", "rosenbrock"]
