"""The kit finds each fault by its promise, and accuses nothing that is right."""

import functools
import re
import unittest

import jax
import jax.numpy as jnp
import optax
import pytest
from processes import run_file
from testing.test_promises import another_each_time, constant_rate, rate_in_python, wrong_in_lanes

from jaxopt_lab import augment, nn, schedules, testing

NAMES = {each.name for each in testing.promises(testing.check_transformation)}


def by_hand(init, update):
    return optax.GradientTransformationExtraArgs(init, update)


def scaled(factor):
    """The gradient of each leaf times a factor of it."""

    def update(updates, state, params=None, **extra):
        return jax.tree.map(lambda g: (g * factor(g)).astype(g.dtype), updates), state

    return by_hand(lambda params: (), update)


def with_state(init, factor, after=lambda state: state):
    """Gradients times a factor of the state."""

    def update(updates, state, params=None, **extra):
        times = factor(state)
        return jax.tree.map(lambda g: (g * times).astype(g.dtype), updates), after(state)

    return by_hand(init, update)


def of_all(function):
    """Updates as a function of all gradients."""

    def update(updates, state, params=None, **extra):
        return function(updates), state

    return by_hand(lambda params: (), update)


def traced(x):
    return isinstance(x, jax.core.Tracer)


def rate_at(rate, count):
    return rate(count) if callable(rate) else rate


def my_sgd(learning_rate, decay=0.9):
    """Momentum, with a state in float32."""

    def init(params):
        wide = lambda p: jnp.zeros_like(p, jnp.promote_types(p.dtype, jnp.float32))  # noqa: E731
        return jnp.zeros((), jnp.int32), jax.tree.map(wide, params)

    def update(updates, state, params=None, **extra):
        count, trace = state
        trace = jax.tree.map(lambda m, g: decay * m + g, trace, updates)
        rate = rate_at(learning_rate, count)
        moved = jax.tree.map(lambda m, g: (-rate * m).astype(g.dtype), trace, updates)
        return moved, (count + 1, trace)

    return by_hand(init, update)


def my_lion(learning_rate, b1=0.9, b2=0.99):
    """The sign of an average."""

    def init(params):
        wide = lambda p: jnp.zeros_like(p, jnp.promote_types(p.dtype, jnp.float32))  # noqa: E731
        return jnp.zeros((), jnp.int32), jax.tree.map(wide, params)

    def update(updates, state, params=None, **extra):
        count, m = state
        rate = rate_at(learning_rate, count)
        mixed = lambda a, b, by: by * a + (1 - by) * b  # noqa: E731
        moved = jax.tree.map(
            lambda m, g: (-rate * jnp.sign(mixed(m, g, b1))).astype(g.dtype), m, updates
        )
        return moved, (count + 1, jax.tree.map(lambda m, g: mixed(m, g, b2), m, updates))

    return by_hand(init, update)


def my_adam(learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """Adam, whose state is of pairs."""

    def init(params):
        wide = lambda p: jnp.zeros_like(p, jnp.promote_types(p.dtype, jnp.float32))  # noqa: E731
        real = lambda p: wide(p).real + 0  # noqa: E731
        zeros = jax.tree.map(wide, params), jax.tree.map(real, params)
        return {"count": jnp.zeros((), jnp.int32), "m": zeros[0], "v": zeros[1]}

    def update(updates, state, params=None, **extra):
        count = state["count"] + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state["m"], updates)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * jnp.abs(g) ** 2, state["v"], updates)
        rate = rate_at(learning_rate, state["count"])

        def moved(m, v, g):
            m, v = m / (1 - b1**count), v / (1 - b2**count)
            return (-rate * m / (jnp.sqrt(v) + eps)).astype(g.dtype)

        return jax.tree.map(moved, m, v, updates), {"count": count, "m": m, "v": v}

    return by_hand(init, update)


def impure():
    calls = []

    def factor(g):
        calls.append(1)
        return 1 + len(calls) % 2

    return scaled(factor)


def writing_into_its_gradients(updates):
    updates["scale"] = updates["scale"] * 2
    return updates


def refusing():
    def update(updates, state, params=None):
        return updates, state

    return by_hand(lambda params: (), update)


def needs_a_leaf(tree):
    most = max(g.ndim + 1 for g in jax.tree.leaves(tree))
    return jax.tree.map(lambda g: g / most, tree)


def grows(count):
    return count + jnp.float32(1)


def as_if_none_were_a_leaf(tree):
    return jax.tree.map(lambda g: g * 1.0, tree, is_leaf=lambda x: x is None)


def sharing(params):
    """A state that is the parameters themselves where they are float32."""
    wide = jnp.float32
    return jax.tree.map(lambda p: p if p.dtype == wide else p.astype(wide), params)


def of_dicts(updates):
    if isinstance(updates, dict):
        return {k: of_dicts(v) for k, v in updates.items()}
    return updates * 0.5 if hasattr(updates, "dtype") else updates


def asks_the_host(g):
    jax.debug.callback(lambda x: None, g.sum())
    return 1.0


def by_count(factor):
    return with_state(
        lambda params: jnp.zeros((), jnp.float32), factor, lambda count: count + jnp.float32(1)
    )


def rate_in_lanes(learning_rate):
    return optax.sgd(wrong_in_lanes(learning_rate) if traced(learning_rate) else learning_rate)


def rate_as_state(learning_rate):
    if callable(learning_rate):
        return optax.sgd(learning_rate)
    return with_state(lambda params: jnp.asarray(learning_rate), lambda rate: -rate)


def upwards(learning_rate):
    return optax.chain(optax.sgd(learning_rate), optax.scale(-1))


def wrong_signs_of_narrow(g):
    return 1 if g.dtype == jnp.float32 else 2


def watching():
    """A plateau that takes a value below 0 for worse, whatever it is."""

    def update(updates, state, params=None, *, value, **extra):
        best, scale = state
        better = jnp.abs(value) < 0.999 * best
        scale = jnp.where(better, scale, 0.5 * scale)
        best = jnp.where(better, value, best)
        moved = jax.tree.map(lambda g: (-0.1 * scale * g).astype(g.dtype), updates)
        return moved, (best, scale)

    number = functools.partial(jnp.full, (), dtype=jnp.float32)
    return by_hand(lambda params: (number(jnp.inf), number(1.0)), update)


WATCHED = {"extras": ("value",), "metric": lambda number: {"value": number}}
# A transformation with one fault, and the promises that it breaks.
FAULTS = [
    (scaled(asks_the_host), {"no_host_sync"}),
    (scaled(lambda g: 1.0 if float(g.sum()) > 0 else 2.0), {"no_host_sync"}),
    (with_state(lambda p: 0, lambda n: 1.0), {"structure"}),
    (optax.monitor({"norm": optax.tree.norm}), {"structure"}),
    (impure(), {"pure"}),
    (of_all(writing_into_its_gradients), {"pure"}),
    (scaled(lambda g: 1.0 + traced(g)), {"jit_and_scan"}),
    (with_state(lambda p: jnp.asarray(0.0), lambda n: 1.0, grows), {"one_trace"}),
    (with_state(sharing, lambda p: 1.0), {"donation"}),
    (scaled(wrong_in_lanes), {"vmap"}),
    (rate_in_lanes, {"vmap_rates"}),
    (scaled(lambda g: 1.0 if g.size else 1 / g.size), {"zero_size"}),
    (another_each_time(), {"multi_steps"}),
    (refusing(), {"extra_arguments"}),
    (rate_in_python, {"traced_numbers", "inject_hyperparams"}),
    (rate_as_state, {"whole_numbers"}),
    (constant_rate, {"schedule"}),
    (of_all(lambda t: jax.tree.map(lambda g: g * jnp.array(0.5, jnp.float32), t)), {"bfloat16"}),
    (optax.trace(0.9), {"wide_state"}),
    (scaled(wrong_signs_of_narrow), {"bfloat16_accuracy"}),
    (scaled(lambda g: 1.0 if g.shape[0] else 2.0), {"scalars"}),
    (scaled(lambda g: {1: 1.0, 2: 1.0, 0: 1.0}[g.ndim]), {"ranks"}),
    (of_all(as_if_none_were_a_leaf), {"none_leaves"}),
    (of_all(needs_a_leaf), {"no_leaves"}),
    (of_all(of_dicts), {"containers"}),
    (of_all(lambda t: jax.tree.map(lambda g: jnp.abs(g), t)), {"complex_numbers"}),
    (scaled(lambda g: 1 / jnp.abs(g).max(initial=0)), {"zero_gradients"}),
    (by_count(lambda count: 1 / (6 - count)), {"finite_steps"}),
    (upwards, {"converges"}),
    (watching(), {"negative_metrics"}),
]


def broken_by(tx, *arguments, **options):
    try:
        testing.check_transformation(tx, *arguments, **options)
    except testing.BrokenPromisesError as error:
        return {each.name: each.found for each in error.report.broken}
    return {}


@pytest.mark.parametrize(("tx", "promises"), FAULTS, ids=[" ".join(sorted(p)) for _, p in FAULTS])
def test_a_fault_breaks_its_promise_and_no_other(tx, promises):
    options = WATCHED if promises == {"negative_metrics"} else {}
    found = broken_by(tx, complex_numbers=promises == {"complex_numbers"}, **options)
    if promises == {"multi_steps"}:  # another transformation at each call breaks more than that
        assert promises <= set(found)
    elif promises == {"pure"}:
        assert "pure" in found
    else:
        assert set(found) == promises, found


def test_every_promise_has_a_fault():
    told = {name for _, promises in FAULTS for name in promises}
    # Masked alone and partition alone cannot fail: both give the transformation the same tree.
    assert told | {"masked", "partition", "sharding"} == NAMES


@pytest.mark.parametrize("make", [my_sgd, my_lion, my_adam])
def test_what_is_right_is_not_accused(make):
    # The sign of a complex number is not an update of lion.
    complex_numbers = make is not my_lion
    report = testing.check_transformation(
        make, {"learning_rate": 0.05}, complex_numbers=complex_numbers
    )
    left = {"sharding", "negative_metrics", *(() if complex_numbers else ("complex_numbers",))}
    assert set(report.not_looked_at) <= left


def test_what_reads_a_metric():
    found = broken_by(optax.contrib.reduce_on_plateau, {"factor": 0.5, "patience": 2}, **WATCHED)
    assert "a metric below 0 that stalls" in found["negative_metrics"]
    patient = functools.partial(optax.contrib.reduce_on_plateau, patience=100)
    with pytest.raises(unittest.SkipTest, match="give less patience"):
        case_of(patient(), "negative_metrics", **WATCHED)()


def case_of(tx, promise, **options):
    cases = testing.cases(testing.check_transformation, tx, **options)
    return next(case for case in cases if case.__name__ == promise)


def test_what_masks_and_what_does_not():
    looks = of_all(lambda tree: jax.tree.map(lambda g: g * tree["scale"].sum(), tree))
    for name in ("masked", "partition"):
        with pytest.raises(AssertionError, match=f"{name}: .*raises .*Why it matters"):
            re_lined(case_of(looks, name))


def re_lined(case):
    try:
        case()
    except AssertionError as error:
        raise AssertionError(" ".join(str(error).split())) from None


def test_the_message_says_all_of_it():
    with pytest.raises(AssertionError) as error:
        testing.check_transformation(
            refusing(), name="mine", skip={"vmap": "because", "no_leaves": "none here"}
        )
    text = str(error.value)
    assert text.startswith("mine breaks 1 of ")
    assert re.search(r"1\. extra_arguments: _combining\.py:\d+ raises TypeError: ", text)
    assert "Why it matters: A chain hands" in text and "To mend: End update's" in text
    assert "Skipped: vmap, because: because" in text
    assert "Skipped, and it holds: vmap; leave the skip out." in text
    assert "Not looked at: schedule, it needs a function that makes the transformation" in text


def test_one_promise_a_test():
    cases = testing.cases(testing.check_transformation, refusing(), skip={"vmap": "slow"})
    assert [case.__name__ for case in cases] == [
        each.name for each in testing.promises(testing.check_transformation)
    ]
    by_name = {case.__name__: case for case in cases}
    by_name["pure"]()
    for name, text in (("vmap", "slow"), ("schedule", "it needs a function")):
        with pytest.raises(unittest.SkipTest, match=text):
            by_name[name]()


@pytest.mark.parametrize(
    "case", testing.cases(testing.check_schedule, schedules.sgdr, {"cycle": 10}, peak=1.0)
)
def test_pytest_takes_the_cases(case):
    case()


SCHEDULES = [
    (lambda step: 0.1, {"scalar_array"}),
    (lambda step: jnp.float32(1.0) * (1 if step < 10**7 else 2), {"jit_and_vmap", "traced"}),
    (lambda step: jnp.where(jnp.asarray(step) > 2**30, jnp.nan, 1.0), {"every_step"}),
    (lambda step: jnp.float32(0.5) + 0 * jnp.asarray(step, jnp.float32), {"peak"}),
]


@pytest.mark.parametrize(("schedule", "promises"), SCHEDULES)
def test_a_schedule_s_fault(schedule, promises):
    with pytest.raises(testing.BrokenPromisesError) as error:
        testing.check_schedule(schedule, peak=1.0)
    assert promises & {each.name for each in error.value.report.broken}


def test_an_augmentation():
    assert not testing.check_augmentation(augment.random_crop(2)).broken
    with pytest.raises(testing.BrokenPromisesError) as error:
        testing.check_augmentation(lambda key, x: x[:-1])
    names = {each.name for each in error.value.report.broken}
    assert names == {"shape_and_dtype", "another_key_another_batch"}


def test_a_model():
    assert not testing.check_model(nn.mlp(3, hidden=[4]), shape=(2, 5), outputs=3).broken
    with pytest.raises(testing.BrokenPromisesError, match="rows: a row of 4 a sample, not"):
        testing.check_model(nn.mlp(3, hidden=[4]), shape=(2, 5), outputs=4)


def test_on_two_devices():
    run_file(__file__, devices=2)


def check():
    """A state that lies where its parameters do, and one that does not."""
    case_of(my_sgd(0.1), "sharding")()
    gathered = with_state(lambda p: jax.tree.map(lambda x: jnp.zeros(x.shape), p), lambda s: 1)
    with pytest.raises(AssertionError, match="lies where its parameters do"):
        case_of(gathered, "sharding")()


if __name__ == "__main__":
    check()
