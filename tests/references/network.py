"""The recorded problem: a small tanh network, mean squared error, float32.

`scripts/record_references.py` wrote it, with what Keras and PyTorch do on it.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

FOLDER = Path(__file__).parent
STEPS, EVERY = 200, 20

with np.load(FOLDER / "problem.npz", allow_pickle=False) as file:
    DATA = {name: jnp.asarray(file[name]) for name in file.files}

START = {name: DATA[name] for name in ("w1", "b1", "w2", "b2")}
CASES = json.loads((FOLDER / "cases.json").read_text())


def recorded(library):
    """(cases, iterates, parameters): of every case every 20th iterate."""
    with np.load(FOLDER / f"{library}.npz", allow_pickle=False) as file:
        return file["iterates"]


def loss(p, step):
    """Of batch `step` mod 4."""
    x, y = DATA["x"][step % 4], DATA["y"][step % 4]
    out = jnp.tanh(x @ p["w1"] + p["b1"][None]) @ p["w2"] + p["b2"][None]
    return jnp.mean((out - y) ** 2)


def flat(p):
    return jnp.concatenate([p[name].ravel() for name in START])


def path(tx, shown=lambda params, state: params, steps=STEPS):
    """Every 20th iterate of a run from the start, the start too: (steps / 20 + 1, parameters)."""

    def step(carry, t):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, t), state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), flat(shown(params, state))

    @jax.jit
    def run():
        _, rows = jax.lax.scan(step, (START, tx.init(START)), jnp.arange(steps))
        return jnp.concatenate([flat(START)[None], rows[EVERY - 1 :: EVERY]])

    return run()


def falling(rate):
    """The changing rate of the records that have one."""
    return lambda step: rate * (1 - step / 250)


def difference(found, expected):
    """The largest of the iterates' relative distances, in the Euclidean norm."""
    norms = np.linalg.norm(np.asarray(expected), axis=-1)
    return (np.linalg.norm(np.asarray(found) - np.asarray(expected), axis=-1) / norms).max()
