"""What every transformation, schedule, augmentation and model keeps, for anybody's.

`check_transformation(my_adam)` and its like look at every promise, return a `Report`, and raise one
`AssertionError` that says all that is broken, why it matters and how to mend it. `cases` gives the
promises one by one, for a test each. The room may import `core` and `problems`, and needs no
pytest. Begin reading at `promise.py`, and for the mechanisms at `transformation.py`.
"""

from jaxopt_lab.testing._check_augmentation import check_augmentation
from jaxopt_lab.testing._check_model import check_model
from jaxopt_lab.testing._check_schedule import check_schedule
from jaxopt_lab.testing._check_transformation import check_transformation
from jaxopt_lab.testing.promise import (
    Broken,
    BrokenPromisesError,
    Case,
    Promise,
    Report,
    cases,
    promises,
)

__all__ = [
    "Broken",
    "BrokenPromisesError",
    "Case",
    "Promise",
    "Report",
    "cases",
    "check_augmentation",
    "check_model",
    "check_schedule",
    "check_transformation",
    "promises",
]
