"""NaN and infinity in a run: left out and counted, or told with their step and their layer."""

import functools
import json

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.engine.checkpoint import steps as saved_steps

ROWS, SIZE, MARKED = 96, 8, 37
DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(ROWS, 4)).astype(np.float32)
X[:, 0] = 0
X[MARKED, 0] = 1
DATA = {"train": (X, np.arange(ROWS) % 3), "test": (X[:9], np.arange(9) % 3)}
TABLES = {
    "data": {"name": "digits", "batch_size": SIZE, "validation": 0},
    "model": {"name": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"steps": 30, "checkpoint_every": 2},
}
SKIPS = {"control": [{"name": "skip_not_finite"}]}


def forward_trap(x, h):
    """`h`, and infinity beside the marked sample."""
    return jnp.where(x[..., :1] > 1, jnp.inf, h)


def backward_trap(x, h):
    """`h`, whose gradient is not finite beside the marked sample: a root of 0 times 0."""
    return h + jnp.sqrt(jnp.where(x[..., :1] > 1, 0 * h, 1.0)) - 1


class Trap(linen.Module):
    trap: object

    def __call__(self, x, h):
        return self.trap(x, h)


class Network(linen.Module):
    trap: object
    norm: bool = False

    @linen.compact
    def __call__(self, x, train=True):
        h = linen.relu(linen.Dense(8, name="first")(x))
        if self.norm:
            h = linen.BatchNorm(use_running_average=not train)(Trap(self.trap)(x, h))
            return linen.Dense(3, name="last")(h)
        return linen.Dense(3, name="last")(Trap(self.trap, name="trap")(x, h))


class NNX(nnx.Module):
    def __init__(self, trap):
        rngs = nnx.Rngs(0)
        self.trap, self.first = trap, nnx.Linear(4, 8, rngs=rngs)
        self.last = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.trap(x, jax.nn.relu(self.first(x))))


class Equinox(eqx.Module):
    first: eqx.nn.Linear
    last: eqx.nn.Linear
    trap: object = eqx.field(static=True)

    def __init__(self, trap):
        one, other = jax.random.split(jax.random.key(0))
        self.first, self.last = eqx.nn.Linear(4, 8, key=one), eqx.nn.Linear(8, 3, key=other)
        self.trap = trap

    def __call__(self, x):
        return self.last(self.trap(x, jax.nn.relu(self.first(x))))


class Plain:
    """A pair of functions."""

    def __init__(self, trap):
        self.trap = trap

    def init(self, rngs, x, *, train):
        draws = np.random.default_rng(0)
        first, last = (jnp.asarray(draws.normal(size=s), jnp.float32) for s in ((4, 8), (8, 3)))
        return {"params": {"first": first, "last": last}}

    def apply(self, variables, x, *, train, mutable=False, **how):
        params = variables["params"]
        outputs = self.trap(x, jax.nn.relu(x @ params["first"])) @ params["last"]
        return (outputs, {}) if mutable is not False else outputs


KINDS = {"linen": Network, "nnx": NNX, "equinox": Equinox, "plain": Plain}


def trained(model, run_dir=None, **tables):
    config = parse_config(TABLES | tables)
    return jaxopt_lab.train(config, run_dir, data=DATA, model=model, progress=False)


@functools.cache
def marked_steps(epochs=2):
    """The steps, from 1, whose batches hold the marked sample."""
    drawn = build(parse_config(TABLES), data=DATA, model=Network(forward_trap)).drawn
    each, found = ROWS // SIZE, []
    for epoch in range(epochs):
        order = np.asarray(drawn.order(jax.random.key(0), epoch, ROWS)).tolist()
        found.append(epoch * each + order.index(MARKED) // SIZE + 1)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trap", [forward_trap, backward_trap])
def test_a_run_that_stops_names_its_step_its_layer_and_its_last_good_checkpoint(
    kind, trap, tmp_path
):
    result = trained(KINDS[kind](trap), tmp_path / "run")
    assert result.stopped_by == "diverged"
    lost, step = result.summary["not_finite"], marked_steps()[0]
    assert lost["step"] == step
    if trap is backward_trap:  # what it does to `first` is the first gradient that it reaches
        assert lost["layer"].split("/")[0] == "first" and "gradient of first" in lost["what"]
    elif kind == "linen":
        assert (lost["layer"], lost["what"]) == ("trap", "the output of trap")
    else:
        assert lost["what"] == "an output of the model"
    good = result.summary["last_good"]
    assert good == (step - 1) // 2 * 2 or step <= 2
    for at in saved_steps(tmp_path / "run" / "checkpoints"):
        found = checkpoint.read_arrays(
            tmp_path / "run" / "checkpoints", lambda name: name.startswith("params"), at
        )
        assert found and all(np.isfinite(x).all() for x in found[1].values())
    written = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert written["not_finite"] == lost and f"at step {step}" in written["fit"]["sentence"]


def test_it_is_found_without_a_folder_and_by_halving_of_long_chunks():
    config = {"train": {"steps": 200, "checkpoint_every": "100%"}}
    result = trained(Network(forward_trap), **config)
    assert result.summary["not_finite"]["step"] == marked_steps()[0]


@pytest.mark.parametrize("trap", [forward_trap, backward_trap])
@pytest.mark.parametrize("norm", [False, True])
def test_steps_that_are_left_out_are_counted_and_leave_no_trace(trap, norm, tmp_path):
    result = trained(Network(trap, norm), tmp_path / "run", **SKIPS)
    assert result.stopped_by == "finished"
    assert all_finite((result.params, result.model_state)) and np.isfinite(result.test["loss"])
    steps = [s for s in marked_steps(3) if s <= 30]
    counts = np.diff(result.history["skipped"], prepend=0)
    assert (np.flatnonzero(counts) + 1).tolist() == steps
    assert result.summary["skipped"] == len(steps)
    assert result.summary["fit"]["kind"] != "diverged"
    raw = result.history["loss"][np.array(steps) - 1]
    assert np.isfinite(raw).all() == (trap is backward_trap), "the log holds what was measured"


def test_the_optimizer_s_state_is_as_if_these_steps_had_not_been():
    steps = {"train": {"steps": marked_steps()[0]}}
    before = {"train": {"steps": marked_steps()[0] - 1}}
    one = trained(Network(backward_trap, True), **SKIPS, **steps).run.last_state()
    other = trained(Network(backward_trap, True), **SKIPS, **before).run.last_state()
    for name in ("params", "model_state"):
        jax.tree.map(np.testing.assert_array_equal, getattr(one, name), getattr(other, name))
    jax.tree.map(np.testing.assert_array_equal, one.opt_state.inner, other.opt_state.inner)


@pytest.mark.parametrize("most", [0, 3])
def test_after_so_many_in_a_row_the_run_stops_where_it_was_good(most, tmp_path):
    control = [{"name": "skip_not_finite", "max_consecutive": most}]
    schedule = [{"name": "constant", "steps": 8}, {"name": "constant", "peak": float("1e38")}]
    tables = {"schedule": schedule, "control": control}
    tables["optimizer"] = {"name": "sgd", "learning_rate": 1e5}
    result = trained(Network(lambda x, h: h), tmp_path / "run", **tables)
    assert result.stopped_by == "diverged" and all_finite(result.params)
    lost = result.summary["not_finite"]
    assert lost["in_a_row"] == most + 1 and lost["step"] == result.summary["steps"] - most + 1
    assert result.summary["last_good"] is not None


def test_lanes_of_a_sweep_give_up_by_themselves():
    control = [{"name": "skip_not_finite", "max_consecutive": 2}]
    tables = {"data": {"name": "digits", "batch_size": 128}, "model": {"name": "linear"}}
    tables |= {"control": control, "train": {"steps": 30, "evaluate_every": 10}}
    tables["optimizer"] = {"name": "sgd", "learning_rate": 0.1}
    plan = parse_sweep(tables | {"sweep": {"optimizer.learning_rate": [0.1, 3e38]}})
    result = jaxopt_lab.sweep(plan, progress=False)
    assert [run.stopped_by for run in result.runs] == ["finished", "diverged"]
