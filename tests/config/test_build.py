"""From a checked configuration to objects: lengths, splits, the rate."""

import jax
import numpy as np
import pytest

from jaxopt_lab import losses
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.optimizer import build_schedule
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.values import in_steps
from jaxopt_lab.core.errors import InputError

CONFIG = """
[data]
name = "digits"
[model]
name = "mlp"
[optimizer]
name = "adam"
learning_rate = 0.5
[train]
epochs = 2
"""


@pytest.fixture(name="make")
def _make(tmp_path):
    def make(*overrides):
        path = tmp_path / "config.toml"
        path.write_text(CONFIG)
        return build(load_config(path, overrides))

    return make


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (7, 7),
        ("2 epochs", 40),
        ("1 epoch", 20),
        ("0.25 epochs", 5),
        ("10%", 50),
        ("9 steps", 9),
        ("0.01%", 1),
    ],
)
def test_lengths(length, steps):
    assert in_steps(length, total=500, steps_per_epoch=20) == steps


def test_splits_and_lengths(make):
    experiment = make("data.validation=0.2", "data.batch_size=50", "train.evaluate_every='10%'")
    assert len(experiment.train["y"]) + len(experiment.validation["y"]) == 1437
    assert len(experiment.validation["y"]) == 287
    assert experiment.steps_per_epoch == 1150 // 50
    assert experiment.total_steps == 46
    assert experiment.evaluate_every == 5


def test_the_validation_split_is_the_same_for_every_seed_and_disjoint(make):
    a, b = make("seed=0"), make("seed=1")
    np.testing.assert_array_equal(a.validation["x"], b.validation["x"])
    whole = make("data.validation=0.0")
    assert whole.validation is None
    rows = lambda split: sorted(x.tobytes() for x in split["x"])  # noqa: E731
    assert sorted(rows(a.train) + rows(a.validation)) == rows(whole.train)


def test_train_size_and_full_batch(make):
    experiment = make("data.train_size=100", "data.batch_size=full", "train.epochs=3")
    assert experiment.batch_size == len(experiment.train["y"]) == 100
    assert experiment.steps_per_epoch == 1 and experiment.total_steps == 3


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("train.epochs=1e12", "train: .* steps are more than a run can count"),
        ("data.train_size=5000", "data.train_size: 5000 is more than"),
        ("data.batch_size=5000", "data.batch_size: 5000 is more than"),
        ("data.validation=0.9999", "data.validation: 0.9999 of 1437"),
    ],
)
def test_settings_that_do_not_fit_the_data(make, override, text):
    with pytest.raises(ConfigError, match=text):
        make(override)


def test_a_schedule_takes_the_rest_of_the_run_and_several_are_joined():
    length = lambda value: in_steps(value, total=100, steps_per_epoch=10)  # noqa: E731
    (alone,) = (build_schedule((Choice("linear_decay"),), length, 100),)
    assert alone(0) == 1 and alone(50) == pytest.approx(0.5) and alone(100) == 0
    both = (
        Choice("linear_decay", {"steps": "2 epochs", "end": 0.5}),
        Choice("cosine_decay", {"peak": 0.5}),
    )
    joined = build_schedule(both, length, 100)
    assert joined(19) == pytest.approx(0.525)
    assert joined(20) == pytest.approx(0.5)
    assert joined(60) == pytest.approx(0.25)
    assert joined(100) == pytest.approx(0, abs=1e-7)
    with pytest.raises(ConfigError, match=r"schedule\.1: begins at step 100"):
        build_schedule((Choice("linear_decay"), Choice("cosine_decay")), length, 100)


def test_penalties_are_summed(make):
    experiment = make(
        'penalty=[{name="l2", weight=0.5}, {name="l1", weight=0.1}]', 'loss={name="hinge"}'
    )
    state = experiment.init(jax.random.key(0))
    rows = {k: v[:64] for k, v in experiment.train.items()}
    _, row = jax.jit(experiment.step)(state, rows)
    params = state.params
    expected = losses.l2(params, weight=0.5) + losses.l1(params, weight=0.1)
    np.testing.assert_allclose(row["penalty"], expected, rtol=1e-6)
    with pytest.raises(ConfigError, match=r"penalty\.0\.weight: missing"):
        make('penalty=[{name="l2"}]')


def test_lsuv_starts_a_run(make):
    tables = 'model={name="mlp", hidden=[16, 16], init="gaussian"}'
    plain, set_ = make(tables), make(tables, "train.lsuv=true")
    x = set_.forward.normalize(set_.train["x"][:256])

    def variances(experiment):
        params = jax.jit(experiment.init)(jax.random.key(0)).params
        variables = {"params": params}
        _, seen = experiment.forward.model.apply(variables, x, capture_intermediates=True)
        layers = seen["intermediates"]
        return [float(layers[f"Dense_{i}"]["__call__"][0].var()) for i in range(3)]

    np.testing.assert_allclose(variances(set_), 1, atol=0.011)
    assert variances(plain)[-1] < 1e-3


@pytest.mark.parametrize(
    ("batch_size", "model", "layer"),
    [
        (1, '{name = "mlp", hidden = [4], norm = "batch"}', "BatchNorm of x \\(1, 4\\)"),
        (2, '{name = "mlp", hidden = [1], norm = "layer"}', "LayerNorm of x \\(2, 1\\)"),
        (2, '{name = "cnn", channels = [4, 4, 4, 4], norm = "instance"}', "InstanceNorm of x"),
        (1, '{name = "cnn", channels = [4]}', None),
    ],
)
def test_a_model_that_normalizes_one_value_by_itself_is_refused(make, batch_size, model, layer):
    experiment = make(f"data.batch_size={batch_size}", f"model={model}")
    state = jax.eval_shape(experiment.init, jax.random.key(0))._replace(key=jax.random.key(0))
    batch = {k: v[:batch_size] for k, v in experiment.train.items()}
    if layer is None:
        jax.eval_shape(experiment.step, state, batch)
        return
    with pytest.raises(InputError, match=layer):
        jax.eval_shape(experiment.step, state, batch)
