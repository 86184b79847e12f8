"""Each name of each table: a run that was resumed is the one that was never interrupted.

And both differ from a cold start from the same parameters, which shows that what the checkpoint
holds beside the parameters is used: without the third, a test of the first two would also pass
where neither does what it should.
"""

import jax
import numpy as np
import pytest

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.engine import OneRun, checkpoint, fit

SAVED, TOTAL = 4, 8
ARGUMENTS = {
    "clip_by_value": {"max_value": 0.5},
    "clip_by_norm": {"max_norm": 0.5},
    "clip_by_global_norm": {"max_norm": 0.5},
    "stochastic_weight_averaging": {"start": 1, "every": 2},
    "snapshots": {"members": 2},
    "plateau_learning_rate": {"patience": 0, "monitor": "val_loss"},
    "reduce_on_plateau": {"patience": 0},
    "early_stopping": {"patience": 50, "monitor": "val_loss"},
    "inverse_time_decay": {"rate": 0.5},
    "exponential_decay": {"every": 3, "rate": 0.5},
    "step_decay": {"every": 3},
    "cyclical": {"up": 3},
    "sgdr": {"cycle": 3},
    "wsd": {"warmup": 2, "decay": 2},
    "warmup": {"steps": 4},
    "adadelta": {"learning_rate": 1.0},
    "prodigy": {"learning_rate": 1.0},
    "resnet": {"depth": 8, "width": 4},
    "wide_resnet": {"depth": 10, "width": 1},
    "plain": {"depth": 8},
    "cnn": {"channels": [2]},
    "autoencoder": {"hidden": [4]},
    "cutout": {"length": 3},
    "l1": {"weight": 1e-3},
    "l2": {"weight": 1e-3},
    "elastic_net": {"weight": 1e-3},
}
LISTS = ("augment", "penalty", "control")
CASES = [
    pytest.param(family, name, id=f"{family} {name}")
    for family in ("model", "loss", "optimizer", "schedule", *LISTS, "adversary")
    for name in FAMILIES[family].functions
]


def chosen(family, name):
    """The table that names it, with the arguments that it needs."""
    own = {"name": name} | ARGUMENTS.get(name, {})
    if family == "optimizer" and FAMILIES[family].arguments(name)["learning_rate"].required:
        own["learning_rate"] = 0.05
    return [own] if family in LISTS else own


def tables_of(**names):
    """A run with these names of these families."""
    tables = {
        "data": {"name": "digits", "batch_size": 8, "validation": 0.5},
        "model": {"name": "mlp", "hidden": [4], "dropout": 0.2},
        "optimizer": {"name": "momentum", "learning_rate": 0.05},
        "train": {"steps": TOTAL, "evaluate_every": 2},
    }
    if "autoencoder" in names.values():
        tables["data"] |= {"reconstruct": True}
        tables["loss"] = {"name": "logistic"}
    if "snapshots" in names.values():
        tables["schedule"] = {"name": "sgdr", "cycle": 2}
    return tables | {family: chosen(family, name) for family, name in names.items()}


def arrays_for(**names):
    """Images with classes, or with what the loss takes in place of classes."""
    draw = np.random.default_rng(0)
    small = "optimizer" in names and "augment" not in names  # some invert the Hessian
    x = draw.integers(0, 256, (48, *((4, 4, 1) if small else (6, 6, 3))), np.uint8)
    y = draw.integers(0, 3, 48)
    name = names.get("loss")
    if name in ("squared_error", "absolute_error", "huber", "poisson_nll"):
        y = draw.random((48, 1)).astype(np.float32)
    elif name in ("logistic", "hinge"):
        y = y % 2
    elif name == "binary_cross_entropy":
        y = draw.integers(0, 2, (48, 3)).astype(bool)
    return x, y


def bits(tree):
    found = []
    for leaf in jax.tree.leaves(tree):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found.append(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return found


def three_ways(folder, **names):
    """A run of these names in one piece, resumed, and from a cold start: what is left of each."""
    config = parse_config(tables_of(**names))
    given = None if "autoencoder" in names.values() else arrays_for(**names)
    experiment = assemble(config, read(config, data=given))
    program = OneRun(experiment)

    def run(state, start, total):
        for chunk in fit(program, state, start=start, total=total, evaluate_every=2):
            state = chunk.state
        return state

    first = program.start()
    whole = run(first, 0, TOTAL)
    stopped = run(first, 0, SAVED)
    checkpoint.save(folder, SAVED, stopped, config_hash="")
    found = checkpoint.restore(folder, first, config_hash="")
    assert found is not None
    cold = first._replace(params=stopped.params, model_state=stopped.model_state)
    return whole, run(found[1], SAVED, TOTAL), run(cold, 0, TOTAL - SAVED)


@pytest.mark.parametrize(("family", "name"), CASES)
def test_resumed_is_uninterrupted_and_a_cold_start_is_not(family, name, tmp_path):
    whole, resumed, cold = three_ways(tmp_path, **{family: name})
    assert bits(resumed) == bits(whole)
    assert bits(cold.params) != bits(whole.params)
