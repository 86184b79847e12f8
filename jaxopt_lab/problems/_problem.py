"""What an analytic objective is."""

from collections.abc import Callable
from typing import NamedTuple

import jax


class Problem(NamedTuple):
    """An objective `loss(x) -> scalar` on R^n, with where to start and where its minimum is."""

    loss: Callable[[jax.Array], jax.Array]
    start: jax.Array
    minimizer: jax.Array
