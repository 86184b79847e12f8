"""A run split over two devices against the same with everything copied.

    python scripts/benchmarks/sharding.py [--rounds 7] [--quick]

A perceptron of 10 million parameters with Adam on two virtual CPU devices: a whole training step,
and the optimizer's update alone, timed in turn; and what the devices send each other in a step.
"""

import collections
import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false"
).strip()

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from racing import medians, parser_of, show_times

from jaxopt_lab import losses, nn, optimizers
from jaxopt_lab.engine import Layout, device_mesh, init_sharded
from jaxopt_lab.engine.collectives import collectives

INPUTS, WIDTH, OUTPUTS, BATCH = 1024, 2048, 10, 128


def main() -> None:
    parser = parser_of(__doc__, (), "layers an eighth as wide, 2 rounds")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    width, rounds = (WIDTH // 8, 2) if given.quick else (WIDTH, given.rounds)
    mesh = device_mesh(data=2)
    layouts = {"copied": Layout(mesh), "split": Layout(mesh, ("data",))}
    model, tx = nn.mlp(OUTPUTS, hidden=(width,) * 3), optimizers.adam(1e-3)
    batch = {
        "x": jax.random.normal(jax.random.key(0), (BATCH, INPUTS)),
        "y": jax.random.randint(jax.random.key(1), (BATCH,), 0, OUTPUTS),
    }
    first = model.init(jax.random.key(2), batch["x"][:1])["params"]
    print(f"{sum(x.size for x in jax.tree.leaves(first)):,} parameters, batches of {BATCH}")

    steps, updates = {}, {}
    for name, layout in layouts.items():
        params = jax.device_put(first, layout.place(layout.specs(first)))
        state = init_sharded(tx, params)
        rows = jax.device_put(batch, layout.place(PartitionSpec("data")))
        steps[name] = _step(model, tx, layout, params, state, rows)
        updates[name] = _update(tx, params, state)
    show_times("a training step", medians(steps, rounds))
    show_times("the update of adam alone", medians(updates, rounds))


def _step(model, tx, layout, params, state, batch):
    where = jax.tree.map(lambda x: x.sharding, (params, state))

    def step(params, state, batch):
        def loss(params):
            outputs = model.apply({"params": layout.gathered(params)}, batch["x"])
            return losses.softmax_cross_entropy(outputs, batch["y"]).mean()

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step, out_shardings=where).lower(params, state, batch).compile()
    counts, sizes = collections.Counter(), collections.Counter()
    for kind, size in collectives(compiled.as_text()):
        counts[kind] += 1
        sizes[kind] += size
    sent = ", ".join(f"{counts[k]} {k} of {sizes[k] / 2**20:.1f} MiB" for k in counts)
    print(f"  {'split' if layout.split else 'copied'}: {sent}")
    return lambda: jax.block_until_ready(compiled(params, state, batch))


def _update(tx, params, state):
    grads = jax.tree.map(jnp.ones_like, params)
    where = jax.tree.map(lambda x: x.sharding, (params, state))
    compiled = jax.jit(tx.update, out_shardings=where).lower(grads, state, params).compile()
    return lambda: jax.block_until_ready(compiled(grads, state, params))


if __name__ == "__main__":
    main()
