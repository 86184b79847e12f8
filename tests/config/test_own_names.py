"""Names of one's own: bound, checked, listed, trained and swept as those of the house."""

import functools
import threading
import tomllib
from typing import Annotated, Literal

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxopt_lab
from jaxopt_lab.config.augmentation import build_augment
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_tables, to_toml
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.own import extended, own_names
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Positive, Range, checked
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.run.commands.listing import list_names
from jaxopt_lab.run.terminal.progress import Progress


class Net(linen.Module):
    """A network of mine.

    It has one hidden layer.
    """

    outputs: int
    width: Annotated[int, Range(1)] = 8

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(self.width)(x.reshape(len(x), -1))
        return linen.Dense(self.outputs)(linen.relu(x))


class NNX(nnx.Module):
    """Drawn by `rngs`."""

    def __init__(self, outputs: int, inputs: int = 64, *, rngs):
        self.dense = nnx.Linear(inputs, outputs, rngs=rngs)

    def __call__(self, x):
        return self.dense(x.reshape(len(x), -1))


def tiny(outputs, *, key, bias: bool = True):
    """An Equinox network, drawn by `key`."""
    flat = eqx.nn.Lambda(lambda x: x.reshape(-1))
    return eqx.nn.Sequential([flat, eqx.nn.Linear(64, outputs, use_bias=bias, key=key)])


def my_loss(outputs, labels, scale: Positive = 1.0):
    """A loss of mine."""
    return scale * softmax_cross_entropy(outputs, labels)


def my_sgd(learning_rate: float, momentum: Annotated[float, Range(0, 1)] = 0.9):
    """An optimizer of mine, without extra arguments."""
    return optax.GradientTransformation(*optax.sgd(learning_rate, momentum))


def halving(step_from: int):
    """A schedule of mine, in numbers of Python."""
    return lambda step: jnp.where(step < step_from, 1, 0.5)


def shifted(by: float = 0.1):
    """An augmentation of mine, a bare function."""
    return lambda key, image: image / 255 + by * jax.random.normal(key)


@jaxopt_lab.declare(mixes=True, any_shape=True)
def swapped():
    """A mixer of mine."""
    return lambda key, batch: batch | {"x": batch["x"][::-1], "y": batch["y"][::-1]}


def half(limit: float = 1.0):
    """A control of mine."""
    return optax.scale(0.5 * limit)


def square(params, weight: float = 1e-3):
    """A penalty of mine."""
    return weight * sum((p**2).sum() for p in jax.tree.leaves(params))


def constant(value: float = 0.01):
    """An initializer of mine."""
    return lambda key, shape, dtype=jnp.float32: jnp.full(shape, value, dtype)


def still():
    """An attack of mine."""
    return lambda key, batch, loss_fn: batch


OWN = {
    "model": [Net, NNX, tiny],
    "loss": [my_loss],
    "optimizer": [my_sgd],
    "schedule": [halving],
    "augment": {"shifted": shifted, "swapped": swapped},
    "control": [half],
    "penalty": (square,),
    "initializer": [constant],
    "adversary": [still],
}


SWEEP = {
    "data": {"name": "digits", "batch_size": 64, "train_size": 256},
    "model": {"name": "tiny"},
    "loss": {"name": "my_loss"},
    "optimizer": {"name": "my_sgd", "learning_rate": 0.05},
    "train": {"steps": 6},
    "sweep": {"optimizer.learning_rate": [1e-6, 0.1], "loss.scale": [0.5, 1.0], "seeds": 2},
}


def config(**tables):
    given = {
        "data": {"name": "digits", "batch_size": 64, "validation": 0.1, "train_size": 256},
        "model": {"name": "linear"},
        "optimizer": {"name": "sgd", "learning_rate": 0.05},
        "train": {"steps": 12, "evaluate_every": 6},
    }
    return parse_config(given | tables)


@pytest.mark.parametrize("model", ["Net", "NNX", "tiny"])
def test_models_train_by_their_names(model):
    sgd = {"name": "my_sgd", "learning_rate": 0.1}
    with extended(OWN):
        result = jaxopt_lab.train(
            config(model={"name": model}, optimizer=sgd, loss={"name": "my_loss"}), progress=False
        )
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_all_tables_at_once_are_as_the_same_of_the_house():
    house = config(
        model={"name": "mlp", "hidden": [8]}, optimizer={"name": "sgd", "learning_rate": 0.1}
    )
    with extended(OWN):
        mine = config(
            model={"name": "mlp", "hidden": [8]},
            optimizer={"name": "my_sgd", "learning_rate": 0.2, "momentum": 0},
            loss={"name": "my_loss"},
            schedule={"name": "halving", "step_from": 100},
            augment=[{"name": "shifted", "by": 0.0}, {"name": "swapped"}],
            control=[{"name": "half"}],
            penalty=[{"name": "square", "weight": 0.0}],
            adversary={"name": "still"},
        )
        found = jaxopt_lab.train(mine, progress=False)
    wanted = jaxopt_lab.train(house, progress=False)
    np.testing.assert_allclose(found.history["loss"], wanted.history["loss"], rtol=1e-4)
    assert found.test["robust_accuracy"] == found.test["accuracy"]


def test_an_augmentation_draws_for_each_sample():
    with extended(OWN):
        augment = build_augment(config(augment=[{"name": "shifted"}]), 10, np.zeros(1))
    assert augment is not None
    batch = {"x": jnp.full((4, 8, 8, 1), 51, jnp.uint8), "y": jnp.zeros(4, int)}
    shifts = np.asarray(augment(jax.random.key(0), batch)["x"]) - 0.2
    assert len(np.unique(shifts[:, 0])) == 4
    np.testing.assert_array_equal(shifts, np.broadcast_to(shifts[:, :1, :1], shifts.shape))


def test_an_initializer_by_name_outlasts_its_block():
    with extended(OWN):
        made = [config(model={"name": m, "init": "constant"}) for m in ("linear", "mlp")]
        experiments = [build(each) for each in made]
        with pytest.raises(ConfigError, match=r"model\.init: must be .* or 'constant', got 'const"):
            config(model={"name": "mlp", "init": "constants"})
    for experiment in experiments:
        params = experiment.init(jax.random.key(0)).params
        for layer in params.values():
            np.testing.assert_array_equal(layer["kernel"], np.float32(0.01))
    with extended({"initializer": {"constant": functools.partial(constant, 0.5)}}):
        again = build(config(model={"name": "linear", "init": "constant"}))
    (layer,) = again.init(jax.random.key(0)).params.values()
    np.testing.assert_array_equal(layer["kernel"], np.float32(0.5))


def test_arguments_are_bound_and_checked():
    sgd = {"name": "my_sgd", "learning_rate": 1, "momentun": 0.5, "momentum": 2.0}
    with extended(OWN), pytest.raises(ConfigError) as error:
        config(
            model={"name": "Net", "width": 0},
            loss={"name": "my_loss", "scale": -1.0},
            optimizer=sgd,
            schedule={"name": "halving"},
            control=[{"name": "hafl"}],
        )
    faults = dict(error.value.faults)
    assert "did you mean 'half'" in faults.pop("control.0.name")
    assert faults == {
        "model.width": "must be >= 1, got 0",
        "loss.scale": "must be > 0, got -1.0",
        "optimizer.momentun": "unknown, did you mean 'momentum'?; known here: "
        "learning_rate, momentum, layer_decay",
        "optimizer.momentum": "must be in [0, 1], got 2.0",
        "schedule.step_from": "missing; halving needs it: a whole number",
    }


def test_a_resolved_configuration_reads_back():
    with extended(OWN):
        made = config(model={"name": "Net"}, schedule={"name": "halving", "step_from": 3})
        assert to_tables(parse_config(tomllib.loads(to_toml(made)))) == to_tables(made)
        assert own_names(to_tables(made)) == {("model", "Net"), ("schedule", "halving")}
        assert own_names(to_tables(config(model={"name": "linear", "init": "constant"}))) == {
            ("initializer", "constant")
        }
    assert own_names(to_tables(config())) == set()


def test_a_sweep_of_own_names_is_one_program():
    with extended(OWN):
        plan = parse_sweep(SWEEP)
        (group,) = group_runs([run.config for run in plan.runs], read)
    assert set(group.traced) == {("optimizer", "learning_rate"), ("loss", "scale"), ("seed",)}


@pytest.mark.slow
def test_a_run_of_such_a_sweep_is_as_alone():
    with extended(OWN):
        plan = parse_sweep(SWEEP)
        swept = jaxopt_lab.sweep(plan, progress=False)
        alone = jaxopt_lab.train(plan.runs[5].config, progress=False)
    assert swept.best in (4, 5), "the larger rate, and half of the loss"
    record = swept.runs[5]
    assert record is not None
    np.testing.assert_allclose(record.history["loss"], alone.history["loss"], rtol=1e-4)


def test_names_are_listed(capsys):
    with extended(OWN):
        list_names("model", Progress())
        list_names("initializer", Progress())
    out = capsys.readouterr().out
    assert "A network of mine." in out and "width = 8" in out and "a whole number >= 1" in out
    assert "An initializer of mine." in out and "value =" not in out
    assert "rngs =" not in out and "parent" not in out


def test_names_go_with_their_block_and_their_thread():
    before = {name: set(family.functions) for name, family in FAMILIES.items()}
    with extended(OWN):
        made = config(model={"name": "Net"})
        seen = []
        threads = threading.Thread(target=lambda: seen.append("Net" in FAMILIES["model"].functions))
        threads.start()
        threads.join()
        assert seen == [False] and "Net" in FAMILIES["model"].functions
        with extended({"model": {"Other": Net}}):
            assert {"Net", "Other"} <= set(FAMILIES["model"].functions)
        assert "Other" not in FAMILIES["model"].functions
    assert before == {name: set(family.functions) for name, family in FAMILIES.items()}
    with pytest.raises(InputError, match=r"'Net' is no name here.* the same `with extended"):
        build(made)


def takes_a_function(outputs, activation: Literal["relu"], wrap: type):
    """Cannot be called from a file."""


def taking_batch_size(batch_size: int):
    """Takes what the table has."""


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        ([Net], "must be a mapping"),
        ({"modle": [Net]}, "unknown table 'modle', did you mean 'model'"),
        ({"model": Net}, "must be a list of functions or"),
        ({"model": "Net"}, "must be a list of functions or"),
        ({"model": [3]}, "3 must be a function or a class"),
        ({"model": [functools.partial(Net, width=3)]}, 'is no name: give it one, {"model": {"my'),
        ({"loss": [lambda z, y: z]}, "'<lambda>' is no name: give it one"),
        ({"loss": {"my-loss": my_loss}}, "'my-loss' is no name"),
        ({"model": {"mlp": Net}}, "'mlp' is a name of the house: give yours another"),
        ({"model": [Net, Net]}, "'Net' is there twice"),
        ({"loss": {"f": lambda outputs: outputs}}, "must take 2 arguments by position"),
        ({"model": {"f": lambda width=3: None}}, "must take `outputs`"),
        ({"model": [takes_a_function]}, "needs 'wrap', which no file can give"),
        ({"data": [taking_batch_size]}, r"'batch_size' is a key of \[data\] itself"),
        ({"initializer": {"f": lambda gain: None}}, "needs 'gain', which no file can give"),
        ({"schedule": {"f": lambda steps, /: None}}, "needs 'steps', which no file can give"),
        ({"control": {"f": lambda name: None}}, "needs 'name', which no file can give"),
    ],
)
def test_what_cannot_be_a_name_is_refused(extension, text):
    with pytest.raises(InputError, match=text):
        extended(extension)


def test_two_blocks_of_one_name_are_refused():
    with extended(OWN):
        extended({"model": [Net]})  # the same
        with pytest.raises(InputError, match="'Net' is there twice"):
            extended({"model": {"Net": NNX}})


def raising(outputs):
    raise KeyError("my key")


def wrong(**given):
    return 3


CALLS = [
    ("model", raising, r"model: f failed: .*test_own_names\.py:\d+: KeyError: 'my key'"),
    ("model", wrong, r"3 must be an object with init"),
    ("optimizer", wrong, "must give a GradientTransformation of optax, got 3"),
    ("augment", wrong, r"must give a function \(key, image\) -> image, got 3"),
    ("control", wrong, "must give a GradientTransformation"),
    (
        "loss",
        lambda z, y: z.mean(),
        "floating number a sample.* got one number: leave the mean",
    ),
    ("loss", lambda z, y: z, r"got float32 \(11, 10\)"),
    ("loss", lambda z, y: z.argmax(-1), r"got int32 \(11,\)"),
    ("loss", lambda z, y: z @ y, r"f failed on outputs \(11, 10\) and labels \(11,\).*TypeError"),
    ("loss", lambda z, y: None, "got None"),
]


@pytest.mark.parametrize(("table", "function", "text"), CALLS)
def test_what_a_function_gives_is_checked(table, function, text):
    entry = {"name": "f"} | ({"learning_rate": 1.0} if table == "optimizer" else {})
    if table == "optimizer":
        function = functools.partial(lambda learning_rate, f: f(), f=function)
    entry = [entry] if table in ("augment", "control") else entry
    with extended({table: {"f": function}}), pytest.raises(InputError, match=text):
        build(config(**{table: entry}))


def fails(*args, **more):
    raise KeyError("my key")


@jaxopt_lab.declare(whole=True)
def of_all(outputs, labels, weights):
    fails()


IN_A_STEP = {
    "optimizer": lambda learning_rate: optax.GradientTransformation(lambda p: (), fails),
    "control": lambda: optax.GradientTransformation(fails, lambda g, s, p=None: (g, s)),
    "schedule": lambda: fails,
    "augment": lambda: fails,
    "mixer": jaxopt_lab.declare(mixes=True)(lambda: fails),
    "adversary": lambda: fails,
    "penalty": fails,
    "initializer": lambda: fails,
    "metric": of_all,
}


@pytest.mark.parametrize("kind", IN_A_STEP)
def test_what_fails_in_a_step_is_told_with_its_line(kind):
    table = {"mixer": "augment"}.get(kind, kind)
    entry = {"name": "f"} | ({"learning_rate": 1.0} if table == "optimizer" else {})
    tables = {
        "initializer": {"model": {"name": "linear", "init": "f"}},
        "optimizer": {table: entry},
        "adversary": {table: entry},
    }.get(table, {table: [entry]})
    text = r"test_own_names\.py:\d+: KeyError: 'my key'"
    with extended({table: {"f": IN_A_STEP[kind]}}), pytest.raises(InputError, match=text):
        build(config(**tables))


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (lambda key, image: image + 0.5, r"makes float32 up to 25\d\.5, .*: divide by 255 first"),
        (lambda key, image: image[:4], r"makes uint8 \(4, 8, 1\), expected the same shape"),
        (lambda key, image: None, "makes None, expected the same shape"),
    ],
)
def test_an_augmentation_keeps_the_shape_and_the_range(op, text):
    with extended({"augment": {"f": lambda: op}}), pytest.raises(InputError, match=text):
        build(config(augment=[{"name": "f"}]))


@checked
def ranged(steps_from: Positive = 1.0):
    return lambda step: 1.0


def deferred(size: "Unresolvable" = 3, rate: "Positive" = 0.5):  # noqa: F821 # type: ignore
    return lambda step: jnp.ones([])


def test_annotations_that_cannot_be_resolved_check_nothing():
    with extended({"schedule": [ranged, deferred]}):
        config(schedule={"name": "deferred", "size": 7})
        with pytest.raises(ConfigError, match=r"schedule\.rate: must be > 0"):
            config(schedule={"name": "deferred", "rate": 0})
        with pytest.raises(ConfigError, match=r"schedule\.steps_from: must be > 0"):
            config(schedule={"name": "ranged", "steps_from": -1.0})
        build(config(schedule={"name": "ranged"}))


def listed(outputs, hidden: list[int], sizes: tuple[int, ...] = (1,), rest: list | None = None):
    """Lists of every kind."""
    assert isinstance(hidden, list) and isinstance(sizes, tuple)
    return Net(outputs, hidden[0])


def test_lists_of_every_kind_are_taken():
    with extended({"model": [listed]}):
        made = config(model={"name": "listed", "hidden": [4, 2], "sizes": [3], "rest": ["a"]})
        build(made)
        assert dict(made.model.arguments) == {"hidden": [4, 2], "sizes": (3,), "rest": ["a"]}
        with pytest.raises(ConfigError, match=r"hidden: must be a list, each a whole number"):
            config(model={"name": "listed", "hidden": ["a"]})
