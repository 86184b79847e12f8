"""Every training step as a TPU and a GPU would get it, lowered here and read.

No accelerator is at hand: what is shown is that the program is one that such a device can run
alone, and how many gathers and sorts are in it, which a TPU is slow at. `references/lowered.json`
has these counts; `python tests/test_lowering.py` counts anew.
"""

import collections
import json
import pathlib
import re

import cases
import jax
import jax.numpy as jnp
import pytest

from jaxopt_lab.config.build import build
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.engine import Batches, device_mesh
from jaxopt_lab.engine.loop import make_run_steps
from jaxopt_lab.sweeps import Population

PLATFORMS = ("tpu", "cuda")
COUNTS = pathlib.Path(__file__).parent / "references" / "lowered.json"

DIGITS = {"name": "digits", "batch_size": 16, "train_size": 64}
MLP = {"name": "mlp", "hidden": [8]}
SGD = {"name": "sgd", "learning_rate": 0.1}

# What a device cannot do alone, or does not have.
FORBIDDEN = {
    "a callback": r"callback",
    "a transfer to the host": r"infeed|outfeed|stablehlo\.(send|recv)|pinned_host",
    "float64": r"\bf64\b|xf64>",
    "a dynamic shape": r"tensor<[^>]*\?|dynamic_(reshape|iota|broadcast|pad|gather)",
}


def _tables():
    """The configuration of each case, by its family and name."""
    base = {"data": DIGITS, "model": MLP, "optimizer": SGD, "train": {"steps": 4}}
    for name, given in cases.OPTIMIZERS.items():
        yield f"optimizer {name}", base | {"optimizer": {"name": name, **given}}
    for name, given in cases.SECOND_ORDER.items():
        yield f"optimizer {name}", base | {"optimizer": {"name": name, **given}}
    for name, given in cases.CONTROLS.items():
        if name not in FAMILIES["control"].functions:
            continue  # not for files
        given = {k: v for k, v in given.items() if k != "seed"}  # which is the run's
        tables = base | {"control": [{"name": name, **given}]}
        if name == "snapshots":  # taken where a cycle ends
            tables |= {"schedule": {"name": "cyclical", "up": 1, "down": 1}}
        yield f"control {name}", tables
    for name, given in (cases.AUGMENTATIONS | cases.MIXERS).items():
        yield f"augment {name}", base | {"augment": [{"name": name, **given}]}
    for name, given in cases.ATTACKS.items():
        yield f"adversary {name}", base | {"adversary": {"name": name, **given}}
    for name, given in cases.MODELS.items():
        tables = base | {"model": {"name": name, **given}}
        if name == "autoencoder":
            tables |= {"data": DIGITS | {"reconstruct": True}, "loss": {"name": "squared_error"}}
        yield f"model {name}", tables


CASES = dict(_tables())


def lowered(name, platform):
    """The loop of training steps of a case, as StableHLO for a platform, and its state."""
    experiment = build(parse_config(CASES[name]))
    run_steps = make_run_steps(experiment.step, experiment.drawn, 4)
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    data = Batches(len(experiment.train["y"])).shapes(experiment.train)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    traced = jax.jit(run_steps, donate_argnums=0).trace(state, data, count, count)
    return traced.lower(lowering_platforms=(platform,)).as_text(), state


def counted(text):
    found = collections.Counter(re.findall(r"stablehlo\.(gather|sort)\b", text))
    return [found["gather"], found["sort"]]


def _runs_alone(text):
    found = {what: re.search(pattern, text) for what, pattern in FORBIDDEN.items()}
    assert not any(found.values()), found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_sweep_runs_on_its_devices_alone(platform):
    sweep = {"optimizer.learning_rate": [0.1, 0.2], "seeds": 2}
    plan = parse_sweep(CASES["optimizer adam"] | {"sweep": sweep})
    (group,) = group_runs([run.config for run in plan.runs], read)
    population = Population(group, device_mesh(), "vmap")
    runs = population.start(range(4)).stacked
    count = jax.ShapeDtypeStruct((), jnp.int32)
    traced = population._run_steps.trace(runs, population._data, count, count)
    _runs_alone(traced.lower(lowering_platforms=(platform,)).as_text())


# By default one of each kind; all others are slow.
FEW = ("optimizer adam", "optimizer kfac", "control early_stopping", "augment random_crop")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_runs_on_the_device_alone(name, platform):
    text, state = lowered(name, platform)
    _runs_alone(text)
    assert "stablehlo.while" in text
    given_away = re.findall(r"tf\.aliasing_output|jax\.buffer_donor", text)
    assert len(given_away) == len(jax.tree.leaves(state))
    assert counted(text) == json.loads(COUNTS.read_text())[name][platform]


if __name__ == "__main__":
    table = {n: {p: counted(lowered(n, p)[0]) for p in PLATFORMS} for n in CASES}
    lines = (f"  {json.dumps(n)}: {json.dumps(row)}" for n, row in table.items())
    COUNTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
