"""What every optax transformation keeps, by itself and inside optax's wrappers.

`given(params, step) -> (grads, extra)` is what a transformation gets at a step: its gradients, and
a dict of extra arguments. `make(**hyperparameters)` builds one. Both sides of a comparison are
compiled as one program, which is why `given` must be traceable.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import Range, hints, marks
from jaxopt_lab.core.transformation import as_arrays
from jaxopt_lab.core.tree import accumulator_dtype, cast_like, is_trained
from jaxopt_lab.core.types import Params
from jaxopt_lab.problems import Problem
from jaxopt_lab.testing.compare import alike, arrays_only, close, finite, holds

Given = Callable[[Params, Any], tuple[Params, dict[str, Any]]]
Transformation = Any
"""An `optax.GradientTransformation`, or one with extra arguments."""


def some_params(dtype: Any = jnp.float32) -> dict[str, Any]:
    """Matrix, vector, scalar and leaves without elements."""
    return {
        "dense": {
            "kernel": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3),
            "bias": jnp.ones(3, dtype),
        },
        "scale": jnp.array(0.5, dtype),
        "empty": jnp.zeros((0, 4), dtype),
        "none": {},
    }


def waves(params: Params, step: Any = 0) -> tuple[Params, dict[str, Any]]:
    """Gradients cos(3 p + step), and no extra argument."""
    return jax.tree.map(
        lambda p: jnp.cos(3 * p + step).astype(p.dtype) if is_trained(p) else p, params
    ), {}


def zeros_like(tree: Any) -> Any:
    """The tree with zeros in the place of all numbers."""
    return jax.tree.map(jnp.zeros_like, tree)


def updated(tx: Transformation, state: Any, params: Params, given: Given, step: Any) -> Any:
    """Parameters and state after a step."""
    grads, extra = given(params, step)
    updates, state = optax.with_extra_args_support(tx).update(grads, state, params, **extra)
    return optax.apply_updates(params, updates), state


def scanned(tx: Transformation, params: Params, given: Given, steps: int) -> Any:
    """Parameters and state after some steps, in one loop."""

    def body(carry: Any, step: Any) -> Any:
        return updated(tx, carry[1], carry[0], given, step), None

    return jax.lax.scan(body, (params, tx.init(params)), jnp.arange(steps))[0]


def first(tx: Transformation, params: Params, given: Given, step: Any = 0) -> Params:
    """The update of a fresh transformation."""
    grads, extra = given(params, step)
    return optax.with_extra_args_support(tx).update(grads, tx.init(params), params, **extra)[0]


def keeps_structure_and_dtypes(
    tx: Transformation, params: Params, given: Given = waves, steps: int = 1
) -> None:
    """Updates are like the parameters, and the state is at every step what it was at the first."""
    tx, state = optax.with_extra_args_support(tx), tx.init(params)
    arrays_only(state, "the state holds arrays and nothing else")
    alike(jax.eval_shape(tx.init, params), state, "init gives the same state when it is traced")
    for step in range(steps):
        grads, extra = given(params, step)
        updates, new = jax.eval_shape(
            lambda g, s, p, extra=extra: tx.update(g, s, p, **extra), grads, state, params
        )
        alike(updates, params, "updates have the parameters' structure, shapes and dtypes")
        alike(new, state, "the state's structure, shapes and dtypes never change")


def state_is_wide(tx: Transformation, params: Params) -> None:
    """The state is float32 where parameters are narrower."""
    state = jax.eval_shape(tx.init, params)
    floats = {x.dtype for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)}
    narrow = sorted(str(dtype) for dtype in floats if dtype != accumulator_dtype(dtype))
    holds(not narrow, f"the state is float32 or wider: it holds {narrow}")


def bfloat16_moves_as_float32(
    tx: Transformation, params: Params, given: Given = waves, rtol: float = 0.0, atol: float = 0.0
) -> None:
    """The updates of bfloat16 parameters are those of their float32 copies, rounded."""
    tx = optax.with_extra_args_support(tx)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    wide = jax.tree.map(lambda p: p.astype(jnp.float32), half)
    (grads, extra), (_, wide_extra) = given(half, 0), given(wide, 0)
    wide_grads = jax.tree.map(lambda g: g.astype(jnp.float32), grads)

    @jax.jit
    def both(half: Any, wide: Any, grads: Any, wide_grads: Any) -> Any:
        updates, _ = tx.update(grads, tx.init(half), half, **extra)
        expected, _ = tx.update(wide_grads, tx.init(wide), wide, **wide_extra)
        return updates, cast_like(expected, updates)

    updates, expected = both(half, wide, grads, wide_grads)
    alike(updates, half, "updates of bfloat16 parameters are bfloat16")
    close(updates, expected, "bfloat16 parameters move as their float32 copies do", rtol, atol)


def jit_and_scan_equal_eager(
    tx: Transformation,
    params: Params,
    given: Given = waves,
    steps: int = 4,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> None:
    """A compiled step and a compiled loop take the steps that the plain code takes."""
    state, eager = tx.init(params), params
    for step in range(steps):
        eager, state = updated(tx, state, eager, given, step)
    loop, once = jax.jit(
        lambda p: (scanned(tx, p, given, steps), updated(tx, tx.init(p), p, given, 0))
    )(params)
    # Fusion reorders float32 roundings: a few units in the last place at every step.
    close(loop, (eager, state), "a scan equals eager steps", rtol, atol)
    alone = updated(tx, tx.init(params), params, given, 0)
    close(once, alone, "a jitted step equals an eager one", rtol, atol)


def vmap_equals_loop(
    final: Callable[[Any], Any], lanes: Any, rtol: float = 1e-5, atol: float = 1e-7
) -> None:
    """Lanes that run at once end where they end one after another.

    Args:
      final: of a lane's numbers, such as a learning rate, to what its run ends with.
      lanes: the numbers, stacked.
      rtol: of the comparison.
      atol: of the comparison.
    """
    at_once, in_turn = jax.jit(lambda x: (jax.vmap(final)(x), jax.lax.map(final, x)))(lanes)
    close(at_once, in_turn, "vmap equals a loop", rtol, atol)


def one_trace(
    tx: Transformation, params: Params, given: Given = waves, steps: int = 3, donate: bool = True
) -> None:
    """One compilation serves every step, and parameters and state may be donated to it."""
    traces = 0

    @functools.partial(jax.jit, donate_argnums=(0, 1) if donate else ())
    def step(params: Params, state: Any, k: Any) -> Any:
        nonlocal traces
        traces += 1
        return updated(tx, state, params, given, k)

    params = jax.tree.map(jnp.copy, params)
    # Eager: no leaf of it may be the buffer of another, or of a parameter.
    state = tx.init(params)
    for k in range(steps):
        params, state = step(params, state, jnp.asarray(k))
    holds(traces == 1, f"one trace serves every step: there were {traces}")


def reads_its_schedule_from_step_zero(
    make: Callable[..., Any],
    params: Params,
    given: Given = waves,
    rate: float = 0.1,
    nothing: float = 0.0,
    something: float = 1e-4,
) -> None:
    """A schedule that is 0 at step 0 and `rate` after it moves nothing, then something.

    Args:
      make: builds the transformation.
      params: its parameters.
      given: gradients and extra arguments.
      rate: the schedule's value from step 1.
      nothing: below this an update counts as none.
      something: above this it counts as one.
    """
    tx = make(learning_rate=lambda k: jnp.where(k == 0, 0.0, rate))

    @jax.jit
    def both(params: Params) -> Any:
        grads, extra = given(params, 0)
        at_zero, state = tx.update(grads, tx.init(params), params, **extra)
        grads, extra = given(params, 1)
        return at_zero, tx.update(grads, state, params, **extra)[0]

    sizes = [
        max(float(jnp.abs(u).max()) for u in jax.tree.leaves(updates) if u.size)
        for updates in both(params)
    ]
    promise = f"a schedule is read at the step from 0: the updates are up to {sizes}"
    holds(sizes[0] <= nothing and sizes[1] > something, promise)


def scale_stands_where_the_rate_does(
    make: Callable[..., Any],
    rate: float,
    params: Params,
    given: Given = waves,
    steps: int = 3,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> None:
    """The extra `learning_rate_scale` and a schedule of the same factor give the same run."""

    def scaling(params: Params, step: Any) -> Any:
        grads, extra = given(params, step)
        return grads, extra | {"learning_rate_scale": 1 / (1 + step)}

    scaled, scheduled = jax.jit(
        lambda p: (
            scanned(make(learning_rate=rate), p, scaling, steps)[0],
            scanned(make(learning_rate=lambda k: rate / (1 + k)), p, given, steps)[0],
        )
    )(params)
    close(scaled, scheduled, "learning_rate_scale acts where the rate stands", rtol, atol)


def works_masked_and_partitioned(
    make: Callable[[], Any],
    params: dict[str, Any],
    out: str,
    given: Given = waves,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    joint: bool = False,
    wrappers: Sequence[str] = ("masked", "partition"),
) -> None:
    """`optax.masked` and `optax.partition` move what they choose, and leave the rest.

    Args:
      make: builds the transformation.
      params: a dict.
      out: the name in it that is left out.
      given: gradients and extra arguments.
      rtol: of the comparison with the transformation on the chosen part alone.
      atol: of that comparison.
      joint: whether an update depends on all leaves and their order, which optax's wrappers change;
        then only what is left out is compared.
      wrappers: which of the two.
    """
    labels = {name: "out" if name == out else "in" for name in params}
    wrapped = {
        "masked": optax.masked(make(), {name: name != out for name in params}),
        "partition": optax.partition({"in": make(), "out": optax.set_to_zero()}, labels),
    }

    @jax.jit
    def run(params: Params) -> Any:
        part = params | {out: optax.MaskedNode()}
        runs = {}
        for wrapper in wrappers:
            tx, (grads, extra) = wrapped[wrapper], given(params, 0)
            state = tx.init(params)
            updates, new = tx.update(grads, state, params, **extra)
            runs[wrapper] = (updates, state, new)
        grads, extra = given(part, 0)
        tx = optax.with_extra_args_support(make())
        return runs, tx.update(grads, tx.init(part), part, **extra)[0]

    runs, alone = run(params)
    left = {"masked": given(params, 0)[0][out], "partition": zeros_like(params[out])}
    for wrapper, (updates, state, new) in runs.items():
        alike(new, state, f"the state in {wrapper} never changes its structure")
        close(updates[out], left[wrapper], f"{wrapper} leaves the rest as it is", 1e-6)
        for name in () if joint else params.keys() - {out}:
            close(updates[name], alone[name], f"{wrapper} moves {name}", rtol, atol)


def multi_steps_applies_the_mean(
    make: Callable[[], Any],
    params: Params,
    given: Given = waves,
    rtol: float = 1e-4,
    atol: float = 1e-7,
) -> None:
    """In `optax.MultiSteps` nothing moves but every second step, by the mean gradient."""
    tx, alone = optax.MultiSteps(make(), every_k_schedule=2), optax.with_extra_args_support(make())

    @jax.jit
    def three(params: Params) -> Any:
        (one, extra), (two, extra_two) = given(params, 0), given(params, 1)
        nothing, state = tx.update(one, tx.init(params), params, **extra)
        found, _ = tx.update(two, state, params, **extra_two)
        mean = jax.tree.map(lambda a, b: (a + b) / 2, one, two)
        return nothing, found, alone.update(mean, alone.init(params), params, **extra_two)[0]

    nothing, found, expected = three(params)
    holds(not any(u.any() for u in jax.tree.leaves(nothing)), "MultiSteps waits a step")
    close(found, expected, "MultiSteps applies the mean gradient", rtol, atol)


def hyperparameters_may_be_injected(
    function: Callable[..., Any],
    arguments: dict[str, Any],
    static: Sequence[str],
    params: Params,
    given: Given = waves,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> None:
    """`optax.inject_hyperparams` takes every argument but the static ones as a number."""
    tx = optax.inject_hyperparams(function, static_args=static)(**arguments)
    bound = inspect.signature(function).bind(**arguments)
    bound.apply_defaults()
    other = (type(None), bool, str)
    numbers = {k for k, v in bound.arguments.items() if not isinstance(v, other)} - set(static)

    @jax.jit
    def both(params: Params) -> Any:
        grads, extra = given(params, 0)
        state = tx.init(params)
        updates, new = tx.update(grads, state, params, **extra)
        return updates, (state, new), first(function(**arguments), params, given)

    updates, (state, new), expected = both(params)
    alike(new, state, "the state in inject_hyperparams never changes its structure")
    found = set(state.hyperparams)
    holds(found == numbers, f"every number is injected: {found} are, {numbers} should be")
    close(updates, expected, "injected hyperparameters are the given ones", rtol, atol)


def numbers_may_be_traced(
    function: Callable[..., Any],
    arguments: dict[str, Any],
    static: Sequence[str],
    params: Params,
    given: Given = waves,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> None:
    """Every number may be a traced array, so that it can be swept in one program."""
    bound = inspect.signature(function).bind(**arguments)
    bound.apply_defaults()
    is_number = lambda v: isinstance(v, int | float) and not isinstance(v, bool)  # noqa: E731
    numbers = {k: v for k, v in bound.arguments.items() if k not in static and is_number(v)}
    holds(numbers, "there is a number to trace")
    rest = {k: v for k, v in arguments.items() if k not in numbers}
    found, expected = jax.jit(
        lambda numbers, params: (
            first(function(**rest, **numbers), params, given),
            first(function(**arguments), params, given),
        )
    )(numbers, params)
    close(found, expected, "a traced number acts as the plain one", rtol, atol)


def ignores_unknown_extras(tx: Transformation, params: Params, given: Given = waves) -> None:
    """In a chain an extra argument that it does not know changes nothing, and raises nothing."""
    chain = optax.chain(optax.identity(), tx)

    def strange(params: Params, step: Any) -> Any:
        grads, extra = given(params, step)
        return grads, extra | {"an_unknown_extra": jnp.zeros(())}

    found, expected = jax.jit(lambda p: [first(chain, p, g) for g in (strange, given)])(params)
    close(found, expected, "unknown extra arguments are ignored")


def state_keeps_the_sharding(tx: Transformation) -> None:
    """A state of the parameters' shape lies where the parameters lie: on all devices, in rows."""
    rows = jax.device_count()
    mesh = jax.make_mesh((rows,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    params = {"w": jax.device_put(jnp.ones((4 * rows, 2)), sharding)}
    for leaf in jax.tree.leaves(tx.init(params)):
        if leaf.shape == (4 * rows, 2):
            same = leaf.sharding.is_equivalent_to(sharding, 2)
            holds(same, f"the state lies where its parameters do, not at {leaf.sharding}")


def leaves_whole_numbers_alone(
    tx: Transformation, params: dict[str, Any], given: Given = waves
) -> None:
    """Whole numbers, bools and PRNG keys among the parameters never move.

    With gradients of whole numbers, and of `float0` as `jax.grad(allow_int=True)` gives them.
    """
    fixed = {
        "steps": jnp.full((2, 2), 100_000_001),
        "places": jnp.arange(3),
        "on": jnp.array([True, False]),
        "key": jax.random.key(0),
    }
    slopes = {name: np.zeros(x.shape, jax.dtypes.float0) for name, x in fixed.items()}
    slopes["steps"] = jnp.zeros((2, 2), int)
    tx, whole = optax.with_extra_args_support(tx), params | {"fixed": fixed}

    @jax.jit
    def moved(whole: Params) -> Params:
        grads, extra = given(whole, 0)
        state = tx.init(whole)
        updates, new = tx.update({**grads, "fixed": slopes}, state, whole, **extra)
        alike(new, state, "the state's structure, shapes and dtypes never change")
        floats = {k: u for k, u in updates.items() if k in params}
        alike(floats, params, "updates have the parameters' structure, shapes and dtypes")
        # Those that pass updates on do not change float0, which optax does not apply. Of all that
        # is computed only these leaves are asked for, which makes compilation cheap.
        applied = {k: u for k, u in updates["fixed"].items() if u.dtype != jax.dtypes.float0}
        return {k: optax.apply_updates(whole["fixed"][k], u) for k, u in applied.items()}

    for name, leaf in moved(whole).items():
        close(leaf, fixed[name], f"{name}, which cannot be trained, does not move")
        alike(leaf, fixed[name], f"{name}, which cannot be trained, keeps its dtype")


def works_without_leaves(tx: Transformation, given: Given = waves) -> None:
    """Parameters without leaves have an empty update."""
    holds(first(tx, {}, given) == {}, "an update without leaves is empty")


def finite_on_zero_gradients(tx: Transformation, params: Params, given: Given = waves) -> None:
    """Gradients that are all 0 give finite updates and a finite state."""

    def nothing(params: Params, step: Any) -> Any:
        return zeros_like(params), given(params, step)[1]

    after = jax.jit(lambda p: updated(tx, tx.init(p), p, nothing, 0))(params)
    finite(after, "zero gradients give finite updates and a finite state")


def converges(
    make: Callable[..., Any],
    rate: float,
    problem: Problem,
    steps: int = 2000,
    share: float = 1e-3,
    extras: Callable[[Params, Any], dict[str, Any]] = lambda params, step: {},
) -> None:
    """With a rate that falls to 0 the loss falls to a share of its start."""
    tx = make(learning_rate=lambda k: rate * (1 - k / steps))
    given = lambda x, step: (jax.grad(problem.loss)(x), extras(x, step))  # noqa: E731
    x = jax.jit(lambda x: scanned(tx, x, given, steps)[0])(problem.start)
    start, end = float(problem.loss(problem.start)), float(problem.loss(x))
    holds(end < share * start, f"it converges: the loss went from {start:g} to {end:g}")


def rejects_what_is_out_of_range(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """A number outside the range that its annotation says is named, with the function."""
    name = function.__name__
    for argument, hint in hints(function).items():
        for mark in [m for m in marks(hint) if isinstance(m, Range)]:
            outside = [float("nan"), mark.low - 1, mark.high + 1, mark.low, mark.high]
            for value in [x for x in outside if x not in mark]:
                promise = f"{name} rejects {argument} = {value}, which must be {mark}"
                try:
                    function(**{**arguments, argument: value})
                except ArgumentError as error:
                    holds(f"{name}: {argument} must be " in str(error), f"{promise}: {error}")
                else:
                    raise AssertionError(promise)


def takes_numbers_and_names_what_is_missing(tx: Transformation, **extra: Any) -> None:
    """Python's numbers are as good as arrays, and a gradient that is None is named.

    Args:
      tx: the transformation.
      extra: what `update` is given beside gradients, state and parameters.
    """
    tx = optax.with_extra_args_support(tx)
    rest = {"v": jnp.ones(3), "w": jnp.ones((2, 2))}
    with jax.disable_jit():
        found, expected = (
            tx.update({"a": g, **rest}, tx.init({"a": p, **rest}), {"a": p, **rest}, **extra)[0]
            for p, g in ((1.0, 0.5), (jnp.array(1.0), jnp.array(0.5)))
        )
        close(as_arrays(found), expected, "a number of Python is an array without axes")
        params = {"a": jnp.array(1.0), **rest}
        try:
            tx.update({"a": None, **rest}, tx.init(params), params, **extra)
        except InputError as error:
            holds("no gradient at 'a'" in str(error), f"a missing gradient is named, not {error}")
        else:
            holds(False, "a missing gradient is named")
