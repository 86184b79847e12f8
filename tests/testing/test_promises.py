"""Each promise of `jaxopt_lab.testing` fails on what breaks it, and says which one that is."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxopt_lab.core.ranges import Positive
from jaxopt_lab.problems import quadratic
from jaxopt_lab.testing import augmentation, model, schedule
from jaxopt_lab.testing import transformation as t

PARAMS = t.some_params()


def custom(update, init=lambda params: ()):
    return optax.GradientTransformationExtraArgs(init, update)


def times(number):
    """Gradients times `number(params, extra)`."""

    def update(updates, state, params=None, **extra):
        factor = number(params, extra)
        return jax.tree.map(lambda g: (g * factor).astype(g.dtype), updates), state

    return custom(update)


def traced(tree):
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))


def growing(updates, state, params=None, **extra):
    return updates, (*state, 0.0)


def widening(updates, state, params=None, **extra):
    return jax.tree.map(lambda g: g.astype(jnp.float32), updates), state


def renaming(updates, state, params=None, **extra):
    """A state whose structure counts the calls: each is traced anew."""
    ((count, leaf),) = state.items()
    return updates, {f"{count}+": leaf}


def normalizing(updates, state, params=None, **extra):
    return jax.tree.map(lambda g: g / jnp.abs(g).max(initial=0), updates), state


def counting(updates, state, params=None, **extra):
    return updates | {"fixed": updates["fixed"] | {"steps": jnp.ones((2, 2), int)}}, state


def adding(updates, state, params=None, **extra):
    return {"one": jnp.ones(())}, state


def constant_rate(learning_rate=0.1):
    """Reads its schedule at step 1 only, and no scale."""
    return optax.sgd(learning_rate(1) if callable(learning_rate) else learning_rate)


def rate_in_python(learning_rate=0.1):
    return optax.sgd(0.2 if traced(learning_rate) else learning_rate)


def rates_in_a_tuple(rates=(0.1, 0.2)):
    return optax.sgd(rates[0])


def unchecked(rate: Positive = 1.0):
    return rate


def another_each_time():
    counter = itertools.count(1)
    return lambda: optax.sgd(0.1 * next(counter))


@jax.custom_batching.custom_vmap
def wrong_in_lanes(x):
    return x


@wrong_in_lanes.def_vmap
def _wrong_in_lanes(size, batched, x):
    return x + 1, True


def falling(peak=1.0):
    return lambda step: jnp.float32(1.0) / (1 + jnp.asarray(step, jnp.float32))


def halved_in_jit(step):
    return jnp.float32(0.5 if traced(step) else 1.0) + 0 * jnp.asarray(step, jnp.float32)


def length_in_python(steps=10):
    return lambda step: 1 - jnp.asarray(step, jnp.float32) / (20 if traced(steps) else steps)


class Narrow(nn.Module):
    """Its outputs are bfloat16 whatever its parameters are."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3)(x.reshape(len(x), -1)).astype(jnp.bfloat16)


class Noisy(nn.Module):
    """Noise in evaluation too, or none at all."""

    always: bool

    @nn.compact
    def __call__(self, x, train=False):
        shape, has = (len(x), 3), self.has_rng("dropout")
        noise = jax.random.normal(self.make_rng("dropout"), shape) if has else jnp.zeros(shape)
        return nn.Dense(3)(x) + (noise if self.always else 0 * noise)


class Laned:
    """Initializes otherwise under vmap."""

    def init(self, key, x):
        return {"w": wrong_in_lanes(jax.random.uniform(key))}


BROKEN = [
    ("state's structure", lambda: t.keeps_structure_and_dtypes(custom(growing), PARAMS)),
    (
        "updates have the parameters' structure",
        lambda: t.keeps_structure_and_dtypes(custom(widening), t.some_params(jnp.bfloat16)),
    ),
    (
        "state is float32 or wider",
        lambda: t.state_is_wide(optax.sgd(0.1, momentum=0.9), t.some_params(jnp.bfloat16)),
    ),
    (
        "move as their float32 copies",
        lambda: t.bfloat16_moves_as_float32(
            times(lambda params, extra: jax.tree.leaves(params)[0].dtype.itemsize), PARAMS
        ),
    ),
    (
        "equals an eager one|equals eager steps",
        lambda: t.jit_and_scan_equal_eager(times(lambda params, extra: 1 + traced(params)), PARAMS),
    ),
    ("vmap equals a loop", lambda: t.vmap_equals_loop(wrong_in_lanes, jnp.arange(3.0))),
    (
        "one trace serves every step: there were 3",
        lambda: t.one_trace(custom(renaming, lambda params: {"": jnp.zeros(())}), PARAMS),
    ),
    (
        "read at the step from 0",
        lambda: t.reads_its_schedule_from_step_zero(constant_rate, PARAMS),
    ),
    (
        "where the rate stands",
        lambda: t.scale_stands_where_the_rate_does(
            lambda learning_rate: optax.with_extra_args_support(constant_rate(learning_rate)),
            0.1,
            PARAMS,
        ),
    ),
    (
        "(masked|partition) moves",
        lambda: t.works_masked_and_partitioned(another_each_time(), PARAMS, "scale"),
    ),
    (
        "applies the mean gradient",
        lambda: t.multi_steps_applies_the_mean(another_each_time(), PARAMS),
    ),
    (
        "every number is injected",
        lambda: t.hyperparameters_may_be_injected(rates_in_a_tuple, {}, (), PARAMS),
    ),
    (
        "injected hyperparameters are the given ones",
        lambda: t.hyperparameters_may_be_injected(rate_in_python, {}, (), PARAMS),
    ),
    (
        "a traced number acts as the plain one",
        lambda: t.numbers_may_be_traced(rate_in_python, {}, (), PARAMS),
    ),
    (
        "unknown extra arguments are ignored",
        lambda: t.ignores_unknown_extras(times(lambda params, extra: len(extra)), PARAMS),
    ),
    (
        "steps, which cannot be trained, does not move",
        lambda: t.leaves_whole_numbers_alone(custom(counting), PARAMS),
    ),
    (
        "a missing gradient is named",
        lambda: t.takes_numbers_and_names_what_is_missing(custom(adding)),
    ),
    ("without leaves is empty", lambda: t.works_without_leaves(custom(adding))),
    (
        "zero gradients give finite",
        lambda: t.finite_on_zero_gradients(custom(normalizing), PARAMS),
    ),
    ("it converges", lambda: t.converges(constant_rate, 1e-9, quadratic(), steps=3)),
    ("rejects rate = nan", lambda: t.rejects_what_is_out_of_range(unchecked, {})),
    ("is an array", lambda: schedule.defined_for_every_step(lambda step: 1.0)),
    (
        "a scalar of the widest float",
        lambda: schedule.defined_for_every_step(lambda step: jnp.ones(2)),
    ),
    ("finite and >= 0", lambda: schedule.defined_for_every_step(lambda step: jnp.float32(-1))),
    ("the peak is 1", lambda: schedule.peak_is_one(lambda step: jnp.float32(2))),
    ("the peak scales everything", lambda: schedule.peak_scales_everything(falling, {})),
    ("jit and vmap equal eager", lambda: schedule.jit_and_vmap_equal_eager(halved_in_jit)),
    (
        "a traced number acts",
        lambda: schedule.numbers_may_be_traced(length_in_python, {"steps": 10}),
    ),
    (
        "comes out of",
        lambda: augmentation.keeps_shape_and_dtype(
            lambda key, x: x / 255, (2, 4, 4, 1), jnp.uint8, jnp.uint8
        ),
    ),
    (
        "another key gives another batch",
        lambda: augmentation.is_drawn_by_its_key(lambda key, x: x, jnp.ones((4, 4, 1))),
    ),
    (
        "a draw of its own",
        lambda: augmentation.is_drawn_by_its_key(
            lambda key, x: x * jax.random.uniform(key), jnp.ones((4, 4, 1))
        ),
    ),
    (
        r"values stay in \[0, 1\]",
        lambda: augmentation.is_drawn_by_its_key(
            lambda key, x: jax.random.normal(key, x.shape), jnp.ones((4, 4, 1))
        ),
    ),
    (
        "a row of 3 a sample",
        lambda: model.gives_a_row_a_sample(Narrow(), (2, 4), jnp.float32, 3),
    ),
    ("vmapped seeds", lambda: model.seeds_are_vmapped(Laned(), jnp.ones((1, 4)))),
    (
        "drawn by its key",
        lambda: model.noise_acts_in_training_only(Noisy(always=False), jnp.ones((2, 4))),
    ),
    (
        "in evaluation there is no noise",
        lambda: model.noise_acts_in_training_only(Noisy(always=True), jnp.ones((2, 4))),
    ),
]


@pytest.mark.parametrize(("promise", "check"), BROKEN, ids=[promise for promise, _ in BROKEN])
def test_a_broken_promise_is_named(promise, check):
    with pytest.raises(AssertionError, match=promise):
        check()
