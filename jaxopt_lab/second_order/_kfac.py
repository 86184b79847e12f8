"""K-FAC: natural gradient with Kronecker-factored blocks.

Layout. A layer has I weights a unit (a convolution's: window times channels) and O units:

    kernel  (..., O), as a matrix (I, O); with the bias as a last row (I + 1, O)
    A       (I, I), with a bias (I + 1, I + 1)
    G       (O, O)

A step:

    1. A and G of each layer, a diagonal for all other leaves    `kron_factors`, every factors_every
    2. their moving averages                                     `_averaged`
    3. the inverses of the damped averages                       `_inverses`, every `every`
    4. u = A^-1 grad G^-1, of other leaves grad / (d + lambda)   `_preconditioned`
    5. the norm constraint, the rate and the momentum            `kfac`
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.norm import largest, power_of_two
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import (
    Count,
    Decay,
    LearningRate,
    Momentum,
    Range,
    checked,
    require_number,
)
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import refuse_complex, transformation
from jaxopt_lab.core.tree import (
    accumulator_dtype,
    all_finite,
    cast_like,
    find_states,
    flatten_with_names,
    size_bytes,
    widen,
    zeros_accumulator,
)
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import cholesky_solve
from jaxopt_lab.second_order._kron_factors import Kind, KronFactors
from jaxopt_lab.second_order.capture import find_layers
from jaxopt_lab.second_order.curvature import read_curvature
from jaxopt_lab.second_order.damping import Damping
from jaxopt_lab.second_order.periodically import periodically
from jaxopt_lab.second_order.sharing import shared
from jaxopt_lab.second_order.transformation import finite_direction

NormConstraint = Annotated[float | None, Range(0, math.inf, low_open=True, high_open=True)]

Pair = tuple[jax.Array, jax.Array]


class ScaleByKfacState(NamedTuple):
    """What K-FAC keeps from step to step, float32 or wider.

    Attributes:
      count: steps taken.
      weight: what the moving averages sum their samples' weights to: 1 - decay^t.
      moments: the moving averages of the factors and of the diagonal.
      inverses: of the damped factors, by kernel, of the last inversion.
    """

    count: jax.Array
    weight: jax.Array
    moments: KronFactors
    inverses: dict[str, Pair]


class KfacState(NamedTuple):
    """The preconditioner's state, and the velocity, float32 or wider."""

    preconditioner: ScaleByKfacState
    velocity: Params


def _shares(opt_state: Any, arguments: Mapping[str, Any]) -> float:
    """The factors of every layer, summed over the samples of all devices, and their inverses."""
    (state,) = find_states(opt_state, ScaleByKfacState)
    factors, inverses = size_bytes(state.moments.layers), size_bytes(state.inverses)
    return factors / arguments["factors_every"] + inverses / arguments["every"]


@declare(needs=("curvature",), given={"mesh": "mesh"}, shares=_shares)
@checked
def kfac(
    learning_rate: LearningRate,
    *,
    damping: Damping = 1e-2,
    decay: Decay = 0.95,
    every: Count = 5,
    factors_every: Count = 1,
    momentum: Momentum = 0.9,
    norm_constraint: NormConstraint = 1e-3,
    kind: Kind = "mc",
    max_size: Count = 8192,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """K-FAC: the natural gradient with a Kronecker-factored block for each layer.

    For networks of Dense and Conv layers that first-order methods train slowly, such as deep
    autoencoders, and for large batches. Of a layer with weights W (I, O), its bias as a last row,

        A <- EMA of E[sum_t a_t a_t^T],    G <- EMA of E[mean_t g_t g_t^T]     `kron_factors`
        pi = sqrt((tr A / I) / (tr G / O))
        u  = (A + pi sqrt(lambda) I)^-1 grad (G + sqrt(lambda) / pi I)^-1
        u  = grad / (d + lambda)                                               of other parameters
        nu = min(1, sqrt(c / (eta^2 sum grad . u)))
        v  <- beta v - eta nu u,    theta <- theta + v

    with the averages divided by 1 - decay^t. Which layers have factors, and what d is, says
    `kron_factors`: any others have the diagonal, and so it is a method for every network, though
    K-FAC for those of Flax alone.

    A forward and a backward pass beside the gradient's where factors are due, an inversion of every
    factor where that is; `every` and `factors_every` are what to raise where a step is too slow.
    Under `vmap` lanes that count alike, as those of a sweep do, compute both when they are due and
    not at other steps; lanes that count differently compute them when any of them is due.
    Memory, in floats: 2 (I^2 + O^2) a layer, and twice the parameters.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      damping: lambda > 0, a number, a traced array or a schedule of the step, read where the
        factors are inverted; in the units of the Fisher.
      decay: 0 <= decay < 1, of the moving averages, for each time that factors are computed.
      every: static; steps from one inversion to the next, the first of them at the first step.
      factors_every: static; steps from one computation of factors to the next, likewise.
      momentum: beta, 0 <= beta < 1, a number, a traced array or a schedule of the step.
      norm_constraint: c > 0, a bound on the step's squared length in the Fisher's metric, about
        twice the Kullback-Leibler divergence that it makes; None for nu = 1.
      kind: static; "mc" for labels drawn from the model, "empirical" for those of the batch, "ggn"
        for the exact Gauss-Newton factors at a backward pass for each output.
      max_size: static; layers with more weights a unit, or more units, have the diagonal.
      mesh: static; the devices that share a run, each of which then works on its part of the
        factors; None for one device.

    Returns:
      A transformation; state `KfacState(preconditioner, velocity)`; `update` needs `curvature`.
      Where a factor cannot be inverted, its last inverse stays, at first the identity; factors that
      are not finite are left out of the averages; and where u is not finite, the gradient is taken.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where it is not given `curvature`.

    Reference: Martens and Grosse, 2015, https://arxiv.org/abs/1503.05671; convolutions: Grosse and
    Martens, 2016, https://arxiv.org/abs/1602.01407; norm constraint: Ba et al., 2017,
    https://openreview.net/forum?id=SkkTMpjex

    Differs from: kfac-jax's step is the same for Dense layers with the exact Fisher and the same
    damping (tested), without its burn-in and adaptive rules, but for layers of one output, or of
    one input without bias: there it gives all of the damping to the factor that is not one number.
    Its empirical Fisher is divided by the batch size once more, its default estimator is another
    (curvature propagation), it draws "mc" labels from keys of its own, and it finds layers in the
    jaxpr, whatever the library they come from.
    """
    precondition = scale_by_kfac(
        damping=damping,
        decay=decay,
        every=every,
        factors_every=factors_every,
        kind=kind,
        max_size=max_size,
        mesh=mesh,
    )

    def init(params):
        return KfacState(precondition.init(params), zeros_accumulator(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        step = state.preconditioner.count
        eta = value_at(learning_rate, step, learning_rate_scale)
        beta = value_at(momentum, step)
        g = widen(grads)
        u, preconditioner = precondition.update(g, state.preconditioner, params, **extra)
        if norm_constraint is not None:
            # Of both over a power of two, so that the product neither overflows nor underflows.
            unit = power_of_two(jnp.maximum(largest(g), largest(u)))
            length = eta**2 * optax.tree.vdot(*optax.tree.scale(1 / unit, (g, u)))
            moves = length > 0
            allowed = jnp.sqrt(norm_constraint / jnp.where(moves, length, norm_constraint))
            eta = eta * jnp.where(moves, jnp.minimum(allowed / unit, 1), 1)
        velocity = jax.tree.map(lambda v, u: beta * v - eta * u, state.velocity, u)
        return cast_like(velocity, grads), KfacState(preconditioner, velocity)

    return transformation(init, update)


@checked
def scale_by_kfac(
    *,
    damping: Damping = 1e-2,
    decay: Decay = 0.95,
    every: Count = 5,
    factors_every: Count = 1,
    kind: Kind = "mc",
    max_size: Count = 8192,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`kfac` without rate, momentum and norm constraint: the gradient becomes u.

    Args:
      damping, decay, every, factors_every, kind, max_size, mesh: as of `kfac`.

    Returns:
      A transformation; state `ScaleByKfacState(count, weight, moments, inverses)`.
    """

    require_number("kfac", max_size=max_size)

    def init(params):
        refuse_complex("kfac", params)
        dtypes = {n: accumulator_dtype(p.dtype) for n, p in flatten_with_names(params).items()}
        sides = _sides(params, max_size)
        zeros = {n: tuple(jnp.zeros((k, k), dtypes[n]) for k in s) for n, s in sides.items()}
        eyes = {n: tuple(jnp.eye(k, dtype=dtypes[n]) for k in s) for n, s in sides.items()}
        # A kernel may turn out not to be a layer's: every leaf has room for its diagonal.
        moments = KronFactors(zeros, flatten_with_names(zeros_accumulator(params)))
        return ScaleByKfacState(jnp.zeros([], jnp.int32), jnp.zeros([], float), moments, eyes)

    def update(grads, state, params=None, *, curvature=None, **extra):
        del params, extra
        curvature = read_curvature("kfac", curvature, grads)
        layers = [name for name in find_layers(curvature) if name in state.inverses]
        strength = value_at(damping, state.count)

        def measure():
            names = tuple(flatten_with_names(grads))
            new = curvature.kron_factors(kind=kind, only=names, max_size=max_size)
            return _averaged(state.weight, state.moments, new, decay)

        weight, moments = _every(factors_every, state.count, measure, (state.weight, state.moments))

        def invert():
            pairs = {name: moments.layers[name] for name in layers}
            damped = {n: _damped(a / weight, g / weight, strength) for n, (a, g) in pairs.items()}
            inverses = _inverses(damped, mesh)
            new = {n: tuple(map(_if_finite, inverses[n], state.inverses[n])) for n in layers}
            return state.inverses | new

        inverses = _every(every, state.count, invert, state.inverses)
        g = widen(grads)
        direction = _preconditioned(
            g,
            {name: inverses[name] for name in layers},
            {name: square / weight + strength for name, square in moments.diagonal.items()},
        )
        count = jnp.asarray(optax.safe_increment(state.count))
        new = ScaleByKfacState(count, weight, moments, inverses)
        return cast_like(finite_direction(direction, g), grads), new

    return transformation(init, update)


def _sides(params: Params, max_size: int) -> dict[str, tuple[int, int]]:
    """`{kernel: (I, O)}`, I with the bias: the sides of A and G of what may be layers' kernels."""
    leaves = flatten_with_names(params)
    sides = {}
    for name, kernel in leaves.items():
        if name.rpartition("/")[2] == "kernel" and kernel.ndim >= 2:
            inputs, outputs = math.prod(kernel.shape[:-1]), kernel.shape[-1]
            if 0 < max(inputs, outputs) <= max_size:
                sides[name] = (inputs + (_bias_of(name) in leaves), outputs)
    return sides


def _bias_of(kernel: str) -> str:
    return f"{kernel.removesuffix('kernel')}bias"


def _every(period: int, count: jax.Array, compute: Any, otherwise: Any) -> Any:
    if is_concrete(period) and period == 1:  # without a branch
        return compute()
    return periodically(count % period == 0, compute, otherwise)


def _averaged(weight, moments, new, decay):
    """The moving averages with one more sample, or as they were where it is not finite."""
    keep = jnp.where(all_finite(new), jnp.asarray(decay, float), 1)

    def average(old, sample):
        # Of a layer whose bias is masked: without the last row and column.
        sample = sample[tuple(map(slice, old.shape))]
        return jnp.where(keep < 1, moving_average(keep, old, sample), old)

    layers = {n: tuple(map(average, moments.layers[n], pair)) for n, pair in new.layers.items()}
    diagonal = {n: average(moments.diagonal[n], d) for n, d in new.diagonal.items()}
    averages = KronFactors(moments.layers | layers, moments.diagonal | diagonal)
    return average(weight, jnp.ones([], float)), averages


def _damped(a: jax.Array, g: jax.Array, damping: jax.Array) -> Pair:
    """A (I, I) and G (O, O), each with its part of the square root of the damping."""
    mean_a, mean_g = jnp.trace(a) / len(a), jnp.trace(g) / len(g)
    both = (mean_a > 0) & (mean_g > 0)
    pi = jnp.sqrt(jnp.where(both, mean_a, 1) / jnp.where(both, mean_g, 1))
    root = jnp.sqrt(damping)
    return _shifted(a, pi * root), _shifted(g, root / pi)


def _shifted(matrix: jax.Array, shift: jax.Array) -> jax.Array:
    return matrix + shift.astype(matrix.dtype) * jnp.eye(len(matrix), dtype=matrix.dtype)


def _inverses(damped: dict[str, Pair], mesh: Mesh | None) -> dict[str, Pair]:
    """The inverses of both factors of every layer, each (n, n)."""
    factors = [(factor[None],) for pair in damped.values() for factor in pair]
    found = [inverse[0] for inverse in shared(_inverse, mesh, factors)]
    return dict(zip(damped, zip(found[::2], found[1::2], strict=True), strict=True))


def _inverse(matrix: jax.Array) -> jax.Array:
    """Of a stack of one, (1, n, n)."""
    return cholesky_solve(matrix[0], jnp.eye(matrix.shape[-1], dtype=matrix.dtype))[None]


def _if_finite(new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(new).all(), new, old)


@full_precision
def _preconditioned(grads, inverses, diagonal):
    """Each layer's gradient between its inverses, each other leaf's over its diagonal."""
    leaves = flatten_with_names(grads)
    updates = {}
    for name, (a, g) in inverses.items():
        kernel, bias = leaves[name], leaves.get(_bias_of(name))
        rows = kernel.reshape(-1, kernel.shape[-1])  # (I, O)
        if bias is not None:
            rows = jnp.concatenate([rows, bias[None]])  # (I + 1, O)
        # (I, I) (I, O) (O, O) -> (I, O), each I one more with a bias.
        u = a @ rows @ g
        updates[name] = u[: len(u) - (bias is not None)].reshape(kernel.shape)
        if bias is not None:
            updates[_bias_of(name)] = u[-1]
    for name, g in leaves.items():
        if name not in updates:
            updates[name] = g / diagonal[name]
    return jax.tree.structure(grads).unflatten([updates[name] for name in leaves])
