"""Second-order optimizers and autoencoders from a file."""

import jax
import numpy as np
import optax
import pytest

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.second_order import Curvature, natural_gradient

NORMALIZED = {"name": "mlp", "hidden": [8], "norm": "batch", "dropout": 0.1}


def config(optimizer, **changes):
    tables = {
        "data": {"name": "digits", "batch_size": 64, "train_size": 256, "validation": 0.1},
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": optimizer,
        "train": {"steps": 4},
    }
    return parse_config(tables | changes)


def test_the_engine_gives_the_curvature_of_its_batch():
    experiment = build(
        config({"name": "natural_gradient", "learning_rate": 0.3, "damping": 0.1, "solve": "dense"})
    )
    state = experiment.init(jax.random.key(0))
    batch = {name: array[:64] for name, array in experiment.train.items()}
    after, row = jax.jit(experiment.step)(state, batch)

    def model_fn(params, batch):
        x = experiment.forward.normalize(batch["x"])
        return experiment.forward.model.apply({"params": params}, x, train=True)

    tx = natural_gradient(0.3, 0.1, solve="dense")
    curvature = Curvature(state.params, model_fn, softmax_cross_entropy, batch, state.key)
    updates, _ = tx.update(
        curvature.gradient(), tx.init(state.params), state.params, curvature=curvature
    )
    expected = optax.apply_updates(state.params, updates)
    # The same arithmetic in one program and in many.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), after.params, expected
    )
    np.testing.assert_allclose(row["loss"], curvature.value(), rtol=1e-5)


def test_kfac_trains_with_controls_dropout_and_batch_normalization():
    chosen = config(
        {"name": "kfac", "learning_rate": 0.1, "damping": 0.1},
        model=NORMALIZED,
        control=[{"name": "early_stopping"}, {"name": "clip_by_global_norm", "max_norm": 1.0}],
        train={"steps": 24},
    )
    result = jaxopt_lab.train(chosen, progress=False)
    assert result.summary["kept"] == "best"
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0]


def test_an_autoencoder_rebuilds_its_images():
    chosen = config(
        {"name": "kfac", "learning_rate": 0.1, "damping": 0.1},
        data={"name": "digits", "reconstruct": True, "batch_size": 64, "train_size": 256},
        model={"name": "autoencoder", "hidden": [16], "code": 4},
        loss={"name": "logistic"},
        train={"steps": 16},
    )
    result = jaxopt_lab.train(chosen, progress=False)
    assert set(result.test) == {"loss"}
    assert result.history["loss"][-1] < result.history["loss"][0]
    experiment = build(chosen)
    pixels = experiment.train["x"].reshape(256, -1) / 255.0
    np.testing.assert_allclose(experiment.train["y"], pixels, rtol=1e-6)


def step(chosen):
    """Trace one step."""
    experiment = build(chosen)
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    batch = {name: array[:64] for name, array in experiment.train.items()}
    return jax.eval_shape(experiment.step, state, batch)


def test_says_what_is_wrong():
    kfac = {"name": "kfac", "learning_rate": 0.1}
    with pytest.raises(InputError, match=r"hinge is no distribution .* fisher = \"empirical\""):
        step(config(kfac, loss={"name": "hinge"}))
    with pytest.raises(InputError, match="each sample's own gradient, which a model with batch"):
        step(config({"name": "gradient_variance", "learning_rate": 0.1}, model=NORMALIZED))
    with pytest.raises(ConfigError, match="views of each sample, of which kfac knows no curvature"):
        build(
            config(
                kfac,
                loss={"name": "softmax_cross_entropy", "consistency": 1.0},
                augment=[{"name": "augmix"}],
            )
        )
    with pytest.raises(
        ConfigError, match="one of absolute_error, huber, logistic, poisson_nll, squared_error"
    ):
        build(
            config(
                kfac,
                loss={"name": "hinge"},
                data={"name": "digits", "reconstruct": True},
            )
        )
