"""The names and the interfaces that every family shares."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

Params = Any
"""A pytree of arrays: Linen, NNX, Equinox or bare."""

ModelState = dict[str, Any]
"""A model's other collections, such as batch statistics."""

Batch = dict[str, jax.Array]
"""`{"x": (B, ...), "y": (B,) | (B, K) | (B, ...)}`, and optionally `"weight": (B,)`."""

Split = dict[str, np.ndarray]
"""A whole split on the host: the arrays of a batch with a leading axis of N. Where they are mapped
from a file they are `np.memmap` or `core.rows.Rows`, which are read as they are indexed."""

Schedule = Callable[[jax.typing.ArrayLike], jax.Array]
"""`step -> scalar`, float32 (float64 under x64), for every step >= 0."""

ScalarOrSchedule = float | jax.Array | Schedule


class Metric(NamedTuple):
    """A measured number given to a transformation, and whether it is new at this call."""

    value: jax.Array
    ready: jax.Array


@runtime_checkable
class Model(Protocol):
    """A network as a pair of pure functions: a Linen module, or `nn.from_nnx` of an NNX one."""

    def init(self, rngs: Any, x: jax.Array, *, train: bool) -> Mapping[str, Any]:
        """The first variables, `{"params": ..., ...}`, for inputs such as `x`."""
        ...

    def apply(self, variables: Mapping[str, Any], x: jax.Array, *, train: bool, **how: Any) -> Any:
        """The outputs (B, ...); with `mutable=[...]` a pair of them and the changed collections.

        In training it is given `rngs={"params": key, "dropout": key}` too.
        """
        ...


class Loss(Protocol):
    """What is minimized: its mean over a batch."""

    def __call__(self, outputs: jax.Array, labels: jax.Array, /) -> jax.Array:
        """One value a sample, (B,), float32 or wider."""
        ...


class Measure(Protocol):
    """What computes a metric: its mean over a split is the metric.

    `core.declare` says whether it is better high, which targets it is for, and where it is `whole`:
    then it is a `Whole`.
    """

    def __call__(self, outputs: jax.Array, labels: jax.Array, /) -> jax.Array:
        """One value a sample, (B,), float32 or wider."""
        ...


class Whole(Protocol):
    """What computes a metric that is no mean over samples, such as the area under a curve."""

    def __call__(self, outputs: jax.Array, labels: jax.Array, weight: jax.Array, /) -> jax.Array:
        """One value, or one array, of all samples of a split.

        `weight`, (N,), is how much each counts: 0 for one that is to be left out, whatever it is.
        """
        ...


class Source(Protocol):
    """Samples read by index, such as a NumPy array or a file that is mapped."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """The samples at these indices."""
        ...


class Optimizer(Protocol):
    """An optax `GradientTransformationExtraArgs`."""

    init: Callable[[Params], Any]
    update: Callable[..., tuple[Params, Any]]


class Logger(Protocol):
    """What takes a run's numbers as they come."""

    def log(self, values: dict[str, float], /, *, step: int) -> Any:
        """Take the metrics after `step` steps; NaN and infinity are among them."""
        ...


class Program(Protocol):
    """Runs that train side by side as one compiled program; a run alone is R = 1.

    The state is the program's own: `engine.fit` and its callers hand it back and look at what
    comes beside it, which has one entry a run.
    """

    most: int
    """The largest count of one `advance`."""

    @property
    def waited(self) -> float:
        """Seconds so far in which the device had nothing to do but to wait for data."""
        ...

    def start(self, runs: Sequence[int] = (0,)) -> Any:
        """The state of these runs at step 0."""
        ...

    def advance(
        self, state: Any, start: int, count: int
    ) -> tuple[Any, dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Take `count` steps from step `start` on; the state given is used up.

        Returns:
          The state; metrics of each step, (R, count) each; the steps that each run has taken, (R,),
          fewer where it has stopped early; whether its parameters are finite and it has not given
          up, (R,).
        """
        ...

    def evaluate(self, state: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """Measure the validation split: the state that knows it, and `{"val_loss": (R,), ...}`.

        Nothing is measured, `{}`, where nothing is held out.
        """
        ...

    def finish(self, state: Any) -> Sequence[Any]:
        """What each run keeps at its end, and how it does on the test split."""
        ...
