"""`[[augment]]`, `[adversary]` and `[loss] consistency` as functions of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import AUGMENTATIONS, MIXERS

from jaxopt_lab.config.augmentation import build_augment
from jaxopt_lab.config.build import assemble, build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import RunData, read
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.declare import declared
from jaxopt_lab.engine import Batches
from jaxopt_lab.nn import linear

CONFIG = """
[data]
name = "digits"
batch_size = 32
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[optimizer]
name = "momentum"
learning_rate = 0.1
[train]
epochs = 1
"""


@pytest.fixture(name="make")
def _make(tmp_path):
    def make(tables, of=build):
        path = tmp_path / "config.toml"
        path.write_text(CONFIG + tables)
        return of(load_config(path))

    return make


def as_it_is(config):
    return config


def one_step(experiment):
    rows = {k: v[:32] for k, v in experiment.train.items()}
    state = jax.jit(experiment.init)(jax.random.key(0))
    return jax.jit(experiment.step)(state, rows)


def test_ops_and_mixers_chain_in_the_files_order(make):
    experiment = make(
        '[[augment]]\nname = "random_crop"\npadding = 1\n[[augment]]\nname = "mixup"\nalpha = 0.2\n'
        '[[augment]]\nname = "cutmix"\n'
    )
    state, row = one_step(experiment)
    assert np.isfinite(row["loss"]) and 0 <= row["accuracy"] <= 1
    assert all(jnp.isfinite(p).all() for p in jax.tree.leaves(state.params))


def test_cutout_blanks_with_the_mean_of_the_data(make):
    config = make('[[augment]]\nname = "cutout"\nlength = 3\n', of=as_it_is)
    augment = build_augment(config, 10, np.array([0.25, 0.5]))
    batch = {"x": jnp.zeros((4, 6, 6, 2), jnp.uint8), "y": jnp.zeros(4, jnp.int32)}
    pixels = np.asarray(augment(jax.random.key(0), batch)["x"]).reshape(-1, 2)
    assert {tuple(p) for p in pixels.tolist()} == {(0, 0), (64, 128)}


def test_an_adversary_raises_the_loss_and_is_measured(make):
    calm, harsh = make(""), make('[adversary]\nname = "pgd"\nepsilon = 0.3\nstep = 0.1\n')
    assert one_step(harsh)[1]["loss"] > one_step(calm)[1]["loss"]
    state = jax.jit(harsh.init)(jax.random.key(0))
    assert "val_robust_accuracy" in state.evaluation
    evaluate = harsh.evaluator(True, harsh.forward)
    found = evaluate(state.params, state.model_state, harsh.batches(harsh.validation))
    assert set(found) == {"loss", "accuracy", "robust_accuracy"}
    assert found["robust_accuracy"] < found["accuracy"] + 1e-6
    outside = harsh.evaluator(False, harsh.forward)
    again = outside(state.params, state.model_state, harsh.batches(harsh.validation))
    np.testing.assert_allclose(again["robust_accuracy"], found["robust_accuracy"], atol=1e-6)


def test_consistency_compares_a_clean_view_with_two_others(make):
    tables = '[loss]\nconsistency = 12.0\n[[augment]]\nname = "augmix"\n'
    experiment = make(tables)
    _, row = one_step(experiment)
    assert row["consistency"] > 0
    config = make(tables, of=as_it_is)
    assert config.consistency == 12.0
    assert "consistency = 12.0" in to_toml(config)


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ("[loss]\nconsistency = 12.0\n", "needs views of each sample"),
        ("[loss]\nconsistency = -1.0\n", r"loss\.consistency: must be >= 0"),
        (
            '[loss]\nconsistency = 1.0\n[[augment]]\nname = "mixup"\n[[augment]]\nname = "augmix"',
            "which mixup mixes",
        ),
        (
            '[loss]\nconsistency = 1.0\n[[augment]]\nname = "augmix"\n[adversary]\nname = "fgsm"',
            "adversary",
        ),
        ('[adversary]\nname = "pdg"\n', r"adversary\.name: unknown: 'pdg', did you mean 'pgd'"),
        ('[adversary]\nname = "pgd"\nepsilon = 8\n', r"adversary\.epsilon: must be in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_named(make, tables, text):
    with pytest.raises(ConfigError, match=text):
        make(tables)


def test_what_needs_images_refuses_tables_of_numbers(tmp_path):
    text = CONFIG.replace('"digits"', '"breast_cancer"')
    (tmp_path / "tabular.toml").write_text(text + '[[augment]]\nname = "mixup"\n')
    experiment = build(load_config(tmp_path / "tabular.toml"))
    assert np.isfinite(one_step(experiment)[1]["loss"])
    for override, why in {
        'augment=[{name="random_flip"}]': r"augment\.0: random_flip needs images",
        'adversary={name="pgd"}': r"adversary: pgd needs images .* have shape \(30,\)",
        'model={name="cnn"}': r"model: CNN failed on inputs \(32, 30\)",
    }.items():
        with pytest.raises(ValueError, match=why):
            build(load_config(tmp_path / "tabular.toml", [override]))


def test_views_of_an_autoencoder_have_no_probabilities_to_compare(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + '[[augment]]\nname = "augmix"\n[loss]\nconsistency = 1.0\n')
    autoencoder = ["data.reconstruct=true", "model.name=autoencoder", "loss.name=squared_error"]
    with pytest.raises(ConfigError, match="which the outputs of an autoencoder are not"):
        build(load_config(path, [*autoencoder, "model.hidden=[8]"]))


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((4, 30), np.float32), r"have shape \(30,\)"),
        (np.zeros((4, 8, 8, 1), np.uint16), "are uint16, where uint8 or floats"),
        (np.linspace(-2, 1, 256, dtype=np.float32).reshape(4, 8, 8, 1), r"are in \[-2, 1\]"),
    ],
)
def test_samples_that_are_no_images_are_refused_for_a_model_of_ones_own_too(make, x, text):
    config = make('[adversary]\nname = "fgsm"\n[[augment]]\nname = "random_invert"\n', of=as_it_is)
    signature = read(config).signature._replace(x_shape=x.shape[1:], x_dtype=x.dtype.name)
    source = RunData(
        signature, Batches(4), model=linear(10), train={"x": x, "y": np.zeros(4, np.int32)}
    )
    with pytest.raises(ConfigError, match=text) as raised:
        assemble(config, source)
    assert all(place in str(raised.value) for place in ("augment.0: random_invert", "adversary:"))


DEGRADING = {name for name, f in FAMILIES["augment"].functions.items() if declared(f).degrades}


def augmented(entries):
    """What an autoencoder is given of 8 images, by these tables, and the images."""
    config = parse_config(
        {
            "data": {"name": "digits", "reconstruct": True},
            "model": {"name": "mlp"},
            "optimizer": {"name": "sgd", "learning_rate": 1.0},
            "train": {"steps": 1},
            "augment": entries,
        }
    )
    x = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1), dtype=np.uint8)
    batch = {"x": jnp.asarray(x), "y": jnp.asarray(x / np.float32(255)).reshape(8, 36)}
    augment = build_augment(config, 36, np.array([0.5]))
    return jax.jit(augment)(jax.random.key(1), batch), batch


def unit(x):
    return (np.asarray(x, np.float32) / (255 if x.dtype == np.uint8 else 1)).reshape(len(x), -1)


def entries_of(names):
    return [{"name": name} | (AUGMENTATIONS | MIXERS)[name] for name in names]


def test_the_target_of_an_autoencoder_is_what_its_image_became():
    names = ("random_flip", "random_rotate", "random_invert", "cutmix", "random_crop", "mixup")
    found, batch = augmented(entries_of(names))
    # In one program there and here alone: the last digit of a float.
    np.testing.assert_allclose(found["y"], unit(found["x"]), rtol=1e-6)
    assert np.abs(found["y"] - batch["y"]).max() > 0.1


def test_the_target_stays_without_what_degrades_the_image():
    assert {"cutout", "random_erasing", "gaussian_blur", "gaussian_noise"} == DEGRADING
    found, batch = augmented(entries_of(sorted(DEGRADING)))
    np.testing.assert_allclose(found["y"], batch["y"], rtol=1e-6)
    assert np.abs(unit(found["x"]) - batch["y"]).max() > 0.1


def test_noise_among_moves_leaves_the_target_where_the_moves_take_it():
    moves = ["random_flip", "random_crop", "cutmix", "random_translate", "mixup"]
    names = [*moves[:1], "gaussian_noise", *moves[1:4], "random_erasing", *moves[4:]]
    tables = entries_of(names)
    noisy, _ = augmented(tables)
    off = {"gaussian_noise": {"std": 0.0}, "random_erasing": {"probability": 0.0}}
    still, _ = augmented([table | off.get(table["name"], {}) for table in tables])
    np.testing.assert_allclose(noisy["y"], unit(still["x"]), rtol=1e-6, atol=1e-7)
    assert np.abs(noisy["y"] - unit(noisy["x"])).max() > 0.1
