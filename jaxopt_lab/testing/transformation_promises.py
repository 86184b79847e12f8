"""The promises of a transformation by name, in the order in which they are looked at."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.core.tree import cast_floating, stack_trees, stays_finite
from jaxopt_lab.problems import quadratic
from jaxopt_lab.testing import transformation as t
from jaxopt_lab.testing import trees
from jaxopt_lab.testing.compare import alike, close, finite, holds
from jaxopt_lab.testing.promise import NotLookedAtError, promise
from jaxopt_lab.testing.subject import Subject

# What calls back to Python from a compiled program.
CALLBACKS = {"pure_callback", "io_callback", "debug_callback", "debug_print"}


@promise(
    "Training is one compiled step; a number that Python reads stops it and waits for the device.",
    "Use jnp.where, lax.cond and arrays in place of if, float() and NumPy; leave out callbacks.",
)
def no_host_sync(s: Subject) -> None:
    """`init` and `update` can be traced with abstract values, and never call back to Python."""

    def step(params: Any, step: Any) -> Any:
        return t.updated(s.make(), s.make().init(params), params, s.given, step)

    found = _primitives(jax.make_jaxpr(step)(s.params, jnp.array(0)).jaxpr) & CALLBACKS
    holds(not found, f"the program calls back to Python: {', '.join(sorted(found))}")


def _primitives(jaxpr: Any) -> set[str]:
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                found |= _primitives(getattr(inner, "jaxpr", inner))
    return found


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


@promise(
    "apply_updates adds leaf to leaf, and a loop, a donation and a checkpoint fix the state's form "
    "at its first step.",
    "Give updates like the parameters, and from update the shapes and dtypes that init gave; make "
    "every count an array.",
    "no_host_sync",
)
def structure(s: Subject) -> None:
    """Updates are like the parameters; the state is arrays, and always of one form."""
    t.keeps_structure_and_dtypes(s.make(), s.params, s.given, s.steps)


@promise(
    "A step that is tried twice, vectorized or taken up again must come out the same.",
    "Keep what changes in the state, a random key too, and return new containers.",
    "no_host_sync",
    "structure",
)
def pure(s: Subject) -> None:
    """`update` gives the same twice, and leaves what it was given as it was."""
    tx = optax.with_extra_args_support(s.make())
    grads, extra = s.given(s.params, 0)
    state = tx.init(s.params)
    given = (grads, state, s.params)
    leaves, tree = jax.tree.flatten(given)
    before = [jnp.copy(leaf) if isinstance(leaf, jax.Array) else leaf for leaf in leaves]
    one, other = (tx.update(*given, **extra) for _ in range(2))
    close(other, one, "a second update with the same state is the first")
    holds(jax.tree.structure(given) == tree, "gradients, state and parameters keep their structure")
    close(jax.tree.leaves(given), before, "gradients, state and parameters are left as they were")


@promise(
    "Training is compiled; what differs from the plain code is another method.",
    "Look for what depends on being traced, for values kept outside of the state, and for sums "
    "that cancel.",
    "no_host_sync",
    "structure",
)
def jit_and_scan(s: Subject) -> None:
    """A jitted step and a `lax.scan` of steps equal the plain code."""
    t.jit_and_scan_equal_eager(s.make(), s.params, s.given, min(s.steps, 4), **s.close)


@promise(
    "What compiles anew at every step takes seconds a step.",
    "Keep shapes, dtypes and structure from step to step; init with jnp.zeros([], dtype), because "
    "jnp.asarray(0.0) is of a weak type that the first update loses.",
    "no_host_sync",
    "structure",
)
def one_trace(s: Subject) -> None:
    """One compilation serves every step."""
    t.one_trace(s.make(), s.params, s.given, 3, donate=False)


@promise(
    "Donation lets a step write over its old state; without it training needs twice the memory.",
    "Copy what init keeps of the parameters (jnp.copy), and let no two leaves be one array.",
    "one_trace",
)
def donation(s: Subject) -> None:
    """Parameters and state may be donated to the compiled step."""
    t.one_trace(s.make(), s.params, s.given)


@promise(
    "Ensembles and seeds train side by side under vmap, each as it would alone.",
    "Reduce over a leaf's own axes only, and branch with jnp.where.",
    "no_host_sync",
    "structure",
)
def vmap(s: Subject) -> None:
    """Runs from several starts at once end where each ends alone."""
    starts = [jax.tree.map(lambda p, by=by: p * by, s.params) for by in (1.0, 0.5, -0.25)]
    lanes = stack_trees([jax.tree.map(lambda p: jnp.asarray(p), start) for start in starts])
    final = lambda params: t.scanned(s.make(), params, s.given, 3)[0]  # noqa: E731
    t.vmap_equals_loop(final, lanes, **s.close)


@promise(
    "A sweep over learning rates is one program only where the rate may be a traced array.",
    "Do not convert or compare the rate in Python: no float(rate), no `if rate > 0` on an array.",
    "vmap",
)
def vmap_rates(s: Subject) -> None:
    """Runs with several learning rates at once end where each ends alone."""
    s.require_rate()

    def final(rate: Any) -> Any:
        return t.scanned(s.make(**{s.rate: rate}), s.params, s.given, 3)[0]

    t.vmap_equals_loop(final, jnp.array([0.01, 0.1, 0.3]), **s.close)


def _in_a_wrapper(s: Subject, wrapper: str) -> None:
    if not isinstance(s.params, dict) or len(s.params) < 2:
        raise NotLookedAtError("it needs parameters in a dict of two entries or more")
    given = s.valued_at(s.params)
    out = list(s.params)[-1]
    t.works_masked_and_partitioned(s.make, s.params, out, given, wrappers=(wrapper,), **s.close)


@promise(
    "Weight decay, frozen layers and fine-tuning mask a part of the parameters.",
    "Go through the leaves with jax.tree.map, which passes over optax.MaskedNode, and let optax "
    "find no other object among them.",
    "no_host_sync",
    "structure",
)
def masked(s: Subject) -> None:
    """In `optax.masked` it moves the chosen part as alone, and the rest passes."""
    _in_a_wrapper(s, "masked")


@promise(
    "Groups of parameters with an optimizer each are what large networks train with.",
    "As for masked: go through the leaves with jax.tree.map, and keep no structure from elsewhere.",
    "no_host_sync",
    "structure",
)
def partition(s: Subject) -> None:
    """In `optax.partition` it moves its group as alone."""
    _in_a_wrapper(s, "partition")


@promise(
    "Accumulated gradients stand for a batch that does not fit the memory.",
    "Take the step from the state alone, and the gradients as they come.",
    "no_host_sync",
    "structure",
)
def multi_steps(s: Subject) -> None:
    """In `optax.MultiSteps` every second step moves, by the mean gradient."""
    # The mean is accumulated in another order of roundings.
    given = s.given
    t.multi_steps_applies_the_mean(s.make, s.params, given, 10 * s.rtol, 10 * s.atol)


@promise(
    "A chain hands every member the extra arguments of all, so one that refuses them breaks it.",
    "End update's arguments with **extra, and ignore what is not yours.",
    "no_host_sync",
)
def extra_arguments(s: Subject) -> None:
    """In a chain an extra argument that it does not know changes nothing."""
    t.ignores_unknown_extras(s.make(), s.params, s.given)


@promise(
    "optax.inject_hyperparams logs and changes hyperparameters while training goes on.",
    "Take every number as an array without axes; name what must be a number of Python in static=.",
    "no_host_sync",
    "structure",
)
def inject_hyperparams(s: Subject) -> None:
    """In `optax.inject_hyperparams` its numbers act as the plain ones."""
    s.require_factory()
    if not s.floats():
        raise NotLookedAtError("no argument is a number")
    static = s.not_injected()
    t.hyperparameters_may_be_injected(
        s.named(), dict(s.arguments), static, s.params, s.given, **s.close
    )


@promise(
    "A hyperparameter that may be traced can be swept in one program, and be learnt.",
    "Do not compare or convert numbers in Python; check a range only where the value is a number "
    "of Python.",
    "no_host_sync",
)
def traced_numbers(s: Subject) -> None:
    """A traced array in the place of a number acts as the number."""
    s.require_factory()
    if not s.floats():
        raise NotLookedAtError("no argument is a number")
    static = s.not_injected()
    t.numbers_may_be_traced(s.build, dict(s.arguments), static, s.params, s.given, **s.close)


@promise(
    "Files and people write 1 for 1.0, and a whole number in a state makes all of it whole.",
    "Make the state's dtypes from the parameters', never from a hyperparameter's.",
)
def whole_numbers(s: Subject) -> None:
    """A whole rate, 1, acts as 1.0."""
    s.require_rate()

    def after(rate: float) -> Any:
        return t.updated(tx := s.make(**{s.rate: rate}), tx.init(s.params), s.params, s.given, 0)

    found, expected = after(1), after(1.0)
    alike(found, expected, f"{s.rate} = 1 acts as 1.0")
    close(found, expected, f"{s.rate} = 1 acts as 1.0", **s.close)


@promise(
    "Warm-up and decay are functions of the step; one read a step late warms up from the peak.",
    "Take a function in the place of the rate (optax.scale_by_learning_rate does), and read it at "
    "the count before it is raised.",
    "no_host_sync",
)
def schedule(s: Subject) -> None:
    """The rate may be a function of the step, read from step 0."""
    s.require_rate()
    make = lambda learning_rate: optax.with_extra_args_support(  # noqa: E731
        s.make(**{s.rate: learning_rate})
    )
    # An update that is a difference of parameters is zero but for their last digits.
    sizes = {"nothing": 1e-6, "something": 0.0}
    t.reads_its_schedule_from_step_zero(make, s.params, s.given, **sizes)


@promise(
    "A state that gathers on one device does not fit there.",
    "Make accumulators with jnp.zeros_like(p), which lie where p does, not jnp.zeros(p.shape).",
)
def sharding(s: Subject) -> None:
    """A state of a parameter's shape lies on the devices as the parameter does."""
    if jax.device_count() < 2:
        raise NotLookedAtError(
            "it needs two devices: start with XLA_FLAGS=--xla_force_host_platform_device_count=2"
        )
    s.require_other_trees()
    t.state_keeps_the_sharding(s.make())


@promise(
    "Networks train in bfloat16; a float32 update makes their parameters float32.",
    "Cast updates to the dtype of the parameter, or of the gradient, and never mix in a float32 "
    "array by itself.",
    "no_host_sync",
    "structure",
)
def bfloat16(s: Subject) -> None:
    """bfloat16 parameters have bfloat16 updates, and a state that keeps its dtypes."""
    half = cast_floating(s.params, jnp.bfloat16)
    t.keeps_structure_and_dtypes(s.make(), half, s.given, s.steps)
    finite(t.updated(s.make(), s.make().init(half), half, s.given, 0)[0], "parameters are finite")


@promise(
    "An average with decay 0.999 in bfloat16, of 8 bits, rounds every step away and stands still.",
    "Accumulate in float32: jnp.zeros_like(p, jnp.promote_types(p.dtype, jnp.float32)), and cast "
    "the update.",
    "bfloat16",
)
def wide_state(s: Subject) -> None:
    """The state is float32 where parameters are narrower."""
    t.state_is_wide(s.make(), cast_floating(s.params, jnp.bfloat16))


@promise(
    "What is computed in bfloat16 inside loses more than the last digit, by cancellation.",
    "Compute in float32 and round once, at the end.",
    "bfloat16",
)
def bfloat16_accuracy(s: Subject) -> None:
    """The first update of bfloat16 parameters is that of float32 ones, to 1/32 of its size."""
    half = cast_floating(s.params, jnp.bfloat16)
    # An optimizer that computes in bfloat16 rounds by 2^-9 some ten times: 2^-5 is above that.
    t.bfloat16_moves_as_float32(s.make(), half, s.given, 2**-5, 1e-3 * _largest(s))


def _largest(s: Subject) -> float:
    updates = t.first(s.make(), s.params, s.given)
    return max((float(jnp.abs(u).max()) for u in jax.tree.leaves(updates) if u.size), default=0.0)


def _takes(s: Subject, kind: str) -> None:
    s.require_other_trees()
    params = trees.odd_params(kind)
    t.keeps_structure_and_dtypes(s.make(), params, s.given)
    finite(t.first(s.make(), params, s.given), "updates are finite")


@promise(
    "Temperatures and gates are leaves without axes.",
    "Reduce over all axes there are, and take no axis for granted.",
    "no_host_sync",
    "structure",
)
def scalars(s: Subject) -> None:
    """A leaf without axes has an update."""
    _takes(s, "scalars")


@promise(
    "A layer of width 0 or an empty table is a leaf without elements, of which no mean exists.",
    "Guard means and maxima over a leaf: jnp.max(x, initial=0), sum over max(size, 1).",
    "no_host_sync",
    "structure",
)
def zero_size(s: Subject) -> None:
    """A leaf without elements is passed over, and spoils no other."""
    _takes(s, "zero_size")


@promise(
    "Kernels of convolutions have four axes.",
    "Treat what is no matrix in a way of its own, as a vector or reshaped.",
    "no_host_sync",
    "structure",
)
def ranks(s: Subject) -> None:
    """Leaves of three and four axes have updates."""
    _takes(s, "ranks")


@promise(
    "Modules leave None where a layer has no bias; for JAX it is a tree without leaves.",
    "Use jax.tree.map without is_leaf=..., and ask no leaf of a tree for None.",
    "no_host_sync",
    "structure",
)
def none_leaves(s: Subject) -> None:
    """None among the parameters stays None."""
    _takes(s, "none_leaves")


@promise(
    "A group to which no parameter falls is an empty tree.",
    "Begin sums over leaves with a start value, and stack no empty list.",
)
def no_leaves(s: Subject) -> None:
    """Parameters without leaves have an empty update."""
    s.require_other_trees()
    t.works_without_leaves(s.make(), s.given)


@promise(
    "Equinox, NNX and plain code keep parameters in tuples, lists and classes of their own.",
    "Go through parameters with jax.tree.map, never by name, and never as a dict.",
    "no_host_sync",
)
def containers(s: Subject) -> None:
    """Tuples, lists, NamedTuples and registered classes move as the same leaves elsewhere do."""
    s.require_other_trees()
    every = trees.containers()
    moved = jax.jit(lambda every: {k: t.first(s.make(), p, s.given) for k, p in every.items()})
    found = moved(every)
    for kind, updates in found.items():
        alike(updates, every[kind], f"the updates of a {kind} are like it")
        leaves, plain = (jax.tree.leaves(tree) for tree in (updates, found["dict"]))
        close(leaves, plain, f"a {kind} moves as a dict of the same leaves", **s.close)


@promise(
    "Networks on spectra have complex parameters.",
    "Take |g|^2 as (g * g.conj()).real, or refuse them with an error that says so.",
    "no_host_sync",
    "structure",
)
def complex_numbers(s: Subject) -> None:
    """Complex parameters have complex, finite updates."""
    if not s.complex_numbers:
        raise NotLookedAtError("ask for it with complex_numbers=True")
    s.require_other_trees()
    params = {"w": jnp.array([1 + 1j, -0.5j, 2.0]), "v": jnp.ones(2)}
    t.keeps_structure_and_dtypes(s.make(), params, s.given)
    finite(t.first(s.make(), params, s.given), "updates are finite")


@promise(
    "A dead unit, a frozen layer and a first step have zero gradients; one NaN ends training.",
    "Divide by norm + eps, or by jnp.where(norm > 0, norm, 1).",
    "no_host_sync",
    "structure",
)
def zero_gradients(s: Subject) -> None:
    """Gradients that are all 0 give finite parameters, and spoil no state."""

    def given(params: Any, step: Any) -> Any:
        grads, extra = s.given(params, step)
        return t.zeros_like(grads), extra

    _stays_finite(s, given, 2, "after steps with zero gradients")


@promise(
    "Where neither parameters nor gradients are large, a NaN is of the method's own making.",
    "Look for a division by a small number, a root of a negative one, and a bias correction at "
    "step 0.",
    "no_host_sync",
    "structure",
)
def finite_steps(s: Subject) -> None:
    """Plain gradients give finite parameters, and a state that stays finite."""
    _stays_finite(s, s.given, max(s.steps, 20), "after steps with plain gradients")


def _stays_finite(s: Subject, given: t.Given, steps: int, when: str) -> None:
    params, state = s.params, s.make().init(s.params)
    step = jax.jit(functools.partial(t.updated, s.make(), given=given))
    for k in range(steps):
        params, new = step(state=state, params=params, step=jnp.asarray(k))
        finite(params, f"parameters are finite {when}")
        holds(stays_finite(state, new), f"the state is finite {when} ({k + 1})")
        state = new


@promise(
    "A method that does not find the minimum of a quadratic finds none.",
    "Compare the sign and the size of the update with the equation; give a learning rate that "
    "suits (arguments), or skip it for what is no optimizer by itself.",
    "no_host_sync",
    "structure",
)
def converges(s: Subject) -> None:
    """On a quadratic of condition 10 the loss falls to a share of its start in 1000 steps."""
    s.require_rate()
    s.require_other_trees()
    problem = quadratic()
    make = lambda learning_rate: optax.with_extra_args_support(s.make())  # noqa: E731
    extras = s.extras_of(lambda x: problem.loss(x))
    t.converges(make, 0.0, problem, 1000, s.share, extras)


@promise(
    "A negative log-likelihood falls below 0, and a best value times (1 - threshold) is then not "
    "better but worse.",
    "Compare with best - threshold * |best|.",
    "no_host_sync",
    "structure",
)
def negative_metrics(s: Subject) -> None:
    """A metric below 0 that stalls, falls or rises is met as one above 0 that does the same."""
    metric = s.metric
    if metric is None:
        raise NotLookedAtError("give metric=, the extra arguments of a metric's value, to try it")
    steps = 24
    still, grows = np.ones(steps), 2.0 ** np.arange(steps)
    # Each number is a clear step from the one before it, by difference and by quotient.
    above = np.stack([still, grows[::-1], grows])
    below = np.stack([-still, -grows, -grows[::-1]])

    def final(values: Any) -> Any:
        def given(params: Any, step: Any) -> Any:
            grads, extra = s.given(params, step)
            return grads, extra | metric(jnp.asarray(values, jnp.float32)[step])

        return t.scanned(s.make(), s.params, given, steps)[0]

    runs = jax.jit(lambda lanes: jax.lax.map(final, lanes))
    found, expected = runs(below), runs(above)
    one = jax.tree.leaves(expected)
    if not any(bool((leaf[0] != leaf[k]).any()) for leaf in one for k in (1, 2)):
        raise NotLookedAtError(f"in {steps} steps no metric changes anything: give less patience")
    for k, kind in enumerate(("stalls", "falls", "rises")):
        a, b = (jax.tree.map(lambda leaf, k=k: leaf[k], tree) for tree in (found, expected))
        close(a, b, f"a metric below 0 that {kind} acts as one above 0", **s.close)


PROMISES = (
    no_host_sync,
    structure,
    pure,
    jit_and_scan,
    one_trace,
    donation,
    vmap,
    vmap_rates,
    masked,
    partition,
    multi_steps,
    extra_arguments,
    inject_hyperparams,
    traced_numbers,
    whole_numbers,
    schedule,
    sharding,
    bfloat16,
    wide_state,
    bfloat16_accuracy,
    scalars,
    zero_size,
    ranks,
    none_leaves,
    no_leaves,
    containers,
    complex_numbers,
    zero_gradients,
    finite_steps,
    converges,
    negative_metrics,
)
