"""Batch statistics for parameters that were not trained with them, such as averages.

1. A model's state is flattened to its floating leaves; whole numbers and keys stay as they are.
2. Training passes from its own leaves, zeros and huge ones tell what each is. A running average
   comes out times a momentum m, the same everywhere; it is apart where nothing else depends on it.
3. A pass moves a running average r to m r + (1 - m) b, with b the statistic of that batch. From
   r = 0, where it is apart, this has no difference of large numbers. The mean of b over the batches
   is the new value.
4. All other leaves, such as the vectors of spectral normalization, go on from pass to pass.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.tree import is_trained
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine.forward import Forward


def reestimate_statistics(
    forward: Forward,
    params: Params,
    model_state: ModelState,
    inputs: Iterable[jax.Array],
    key: jax.Array,
) -> ModelState:
    """The model state with batch statistics that belong to `params`.

    Averaged parameters were never run in training, so their running statistics are nobody's. Each
    running average, in whatever collection, becomes the plain mean over the batches given, as
    PyTorch's `update_bn` has it. What is no running average is taken through the passes as training
    would take it.

    Args:
      forward: the model.
      params: the parameters.
      model_state: the model's collections; returned as it is where it holds no floating numbers.
      inputs: raw batches, of one shape; about the training split, or a part of it.
      key: for the dropout of the training passes.

    Returns:
      The model state with new statistics, right to float32's eps / (1 - m) for a momentum of m.

    Reference: Izmailov et al., 2018, https://arxiv.org/abs/1803.05407, section 3.2.
    """
    passes, begun, count = None, None, 0
    for count, x in enumerate(inputs, start=1):
        own = jax.random.fold_in(key, count)
        if passes is None:
            passes = _Passes(forward, params, model_state, x, own)
            begun = passes.begin()
        begun = passes.step(begun, params, x, own)
    return model_state if passes is None else passes.end(begun, count)


def make_reestimate(
    forward: Forward, params: Params, model_state: ModelState, x: jax.Array, key: jax.Array
) -> Callable[[Params, jax.Array], ModelState]:
    """`reestimate_statistics` as a pure function of the parameters, for many of them in a program.

    Args:
      forward: the model.
      params, model_state: of a run, to tell which of the model's numbers are running averages.
      x: a raw batch, for the same.
      key: for the dropout of the training passes.

    Returns:
      `(params, inputs) -> model_state`, with raw `inputs` of (batches, B, ...).
    """
    passes = _Passes(forward, params, model_state, x, key)

    def reestimate(params, inputs):
        def body(begun, item):
            number, x = item
            return passes.step(begun, params, x, jax.random.fold_in(key, number)), None

        numbers = jnp.arange(1, len(inputs) + 1)
        begun, _ = jax.lax.scan(body, passes.begin(), (numbers, inputs))
        return passes.end(begun, len(inputs))

    return reestimate


class _Passes:
    """Training passes that add up what running averages become."""

    def __init__(
        self,
        forward: Forward,
        params: Params,
        model_state: ModelState,
        x: jax.Array,
        key: jax.Array,
    ):
        """Find out, by passes on one batch, what each number of the model state is."""
        self._forward = forward
        self._everything, self._structure = jax.tree.flatten(model_state)
        self._places = [i for i, leaf in enumerate(self._everything) if is_trained(leaf)]
        self._leaves = [self._everything[i] for i in self._places]
        self._passed = jax.jit(self._pass)
        self._kinds: list[_Kind] = []
        if self._leaves:
            self._kinds = _kinds(lambda given: self._passed(params, given, x, key), self._leaves)

    def begin(self) -> Any:
        """The totals of no pass, and the leaves that go on from pass to pass."""
        return [jnp.zeros_like(leaf) for leaf in self._leaves], self._leaves

    def step(self, begun: Any, params: Params, x: jax.Array, key: jax.Array) -> Any:
        """Add a pass on a raw batch."""
        totals, leaves = begun
        if not leaves:
            return begun
        start = [
            jnp.zeros_like(leaf) if kind.apart else leaf
            for leaf, kind in zip(leaves, self._kinds, strict=True)
        ]
        _, leaves = self._passed(params, start, x, key)
        totals = [
            total + (after - (kind.momentum or 0.0) * before)
            for total, after, before, kind in zip(totals, leaves, start, self._kinds, strict=True)
        ]
        return totals, leaves

    def end(self, begun: Any, count: int) -> ModelState:
        """The model state after so many passes."""
        return self._filled(
            [
                leaf if m is None else (total / (count * (1 - m))).astype(leaf.dtype)
                for leaf, total, (m, _) in zip(begun[1], begun[0], self._kinds, strict=True)
            ]
        )

    def _filled(self, leaves: Sequence[jax.Array]) -> ModelState:
        found = dict(zip(self._places, leaves, strict=True))
        whole = [found.get(i, x) for i, x in enumerate(self._everything)]
        return jax.tree.unflatten(self._structure, whole)

    def _pass(self, params, leaves, x, key):
        outputs, after = self._forward.train(params, self._filled(leaves), x, key)
        after = jax.tree.leaves(after)
        return outputs, [after[i] for i in self._places]


class _Kind(NamedTuple):
    """What a leaf is: the momentum of a running average, else None; whether it is apart."""

    momentum: float | None
    apart: bool


def _kinds(run: Callable[[list[jax.Array]], Any], leaves: list[jax.Array]) -> list[_Kind]:
    """What each leaf is.

    Args:
      run: `leaves -> (outputs, leaves)`, a training pass, always on the same batch.
      leaves: the model's own.
    """
    # So large that m times it is all that a float has digits for, and a power of 2.
    huge = [jnp.full_like(leaf, float(jnp.finfo(leaf.dtype).max) / 4) for leaf in leaves]
    before = run(leaves)
    outputs, _ = run([jnp.zeros_like(leaf) for leaf in leaves])
    moved, after = run(huge)
    # Its own, too: zeros and overflow both make a spectral normalization do nothing.
    if _same(outputs, moved) and _same(outputs, before[0]):
        slopes = [_slope(a, h) for a, h in zip(after, huge, strict=True)]
        return [_Kind(slope, slope is not None) for slope in slopes]
    # Some leaf has a part in the pass: which, is tried one by one.
    found = []
    for i in range(len(leaves)):
        outputs, after = run([*leaves[:i], huge[i], *leaves[i + 1 :]])
        # What forgets its last value is taken from the last pass, where others have settled.
        slope = _slope(after[i], huge[i]) or None
        after[i] = before[1][i]
        found.append(_Kind(slope, slope is not None and _same((outputs, after), before)))
    return found


def _slope(after: jax.Array, before: jax.Array) -> float | None:
    """The one factor in [0, 1) that all of a leaf was multiplied by, or None."""
    ratio = np.asarray(after / before, np.float64)
    if not ratio.size:
        return 0.0
    low, high = float(ratio.min()), float(ratio.max())
    if not (low >= 0 and high < 1 and high - low <= 4 * float(jnp.finfo(after.dtype).eps)):
        return None
    # The decimal that it was given as: 1 less its float32 has lost digits.
    return round(high, 7)


def _same(a: Any, b: Any) -> bool:
    """Whether two trees hold the same finite numbers."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(bool(jnp.isfinite(x).all()) and bool((x == y).all()) for x, y in pairs)
