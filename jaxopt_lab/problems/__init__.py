"""Analytic objectives with known minima."""

from jaxopt_lab.problems._problem import Problem
from jaxopt_lab.problems._quadratic import quadratic
from jaxopt_lab.problems._rosenbrock import rosenbrock

PROBLEMS = {f.__name__: f for f in (quadratic, rosenbrock)}

__all__ = ["PROBLEMS", "Problem", "quadratic", "rosenbrock"]
