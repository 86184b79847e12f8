"""Schedules: `step -> float32 scalar`, for every step >= 0, peak 1 by default."""

from jaxopt_lab.schedules._cosine_decay import cosine_decay
from jaxopt_lab.schedules._linear_decay import linear_decay
from jaxopt_lab.schedules._scale_by import scale_by

SCHEDULES = {f.__name__: f for f in (linear_decay, cosine_decay)}

__all__ = ["SCHEDULES", "cosine_decay", "linear_decay", "scale_by"]
