"""A loss surface of 41 x 41 points against its 1,681 evaluations in one bare jitted loop.

    python scripts/benchmarks/landscape.py [--rounds 5] [--quick]

A small convolutional network on 1,000 digits, along two filter-normalized directions. The bare loop
writes the same sums out by hand. Both are compiled once and then timed in turn.
"""

import jax
import jax.numpy as jnp
import numpy as np
from racing import medians, parser_of, show_times

from jaxopt_lab import data, diagnostics, losses, nn

EXTENT, IMAGES, BATCH = 1.0, 1000, 250


def main() -> None:
    parser = parser_of(__doc__, (), "11 x 11 points, 3 rounds")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    steps, rounds = (11, 3) if given.quick else (41, given.rounds)
    train = data.digits().train
    x = jnp.asarray(train["x"][:IMAGES], jnp.float32) / 255
    y = jnp.asarray(train["y"][:IMAGES])
    model = nn.cnn(10, channels=(8, 16), norm="none")
    params = jax.jit(model.init)(jax.random.key(0), x[:1])["params"]

    def loss_fn(params, batch):
        return losses.softmax_cross_entropy(model.apply({"params": params}, batch["x"]), batch["y"])

    cuts = range(0, IMAGES, BATCH)
    batches = [{"x": x[i : i + BATCH], "y": y[i : i + BATCH]} for i in cuts]
    directions = [
        diagnostics.filter_normalized(k, params) for k in jax.random.split(jax.random.key(1))
    ]

    @jax.jit
    def ours(params, directions, batches):
        objective = diagnostics.mean_loss(loss_fn, batches)
        return diagnostics.loss_surface(
            objective, params, directions, steps=steps, extent=EXTENT
        ).values

    @jax.jit
    def bare(params, directions, x, y):
        first, second = directions
        along = jnp.linspace(-EXTENT, EXTENT, steps)

        def one(index):
            a, b = along[index % steps], along[index // steps]
            moved = jax.tree.map(lambda p, d, e: p + a * d + b * e, params, first, second)
            parts = (x.reshape(-1, BATCH, *x.shape[1:]), y.reshape(-1, BATCH))
            total = jax.lax.map(lambda xy: loss_fn(moved, {"x": xy[0], "y": xy[1]}).sum(), parts)
            return total.sum() / IMAGES

        return jax.lax.map(one, jnp.arange(steps**2)).reshape(steps, steps)

    turns = {
        "bare loop": lambda: jax.block_until_ready(bare(params, directions, x, y)),
        "loss_surface": lambda: jax.block_until_ready(ours(params, directions, batches)),
    }
    np.testing.assert_allclose(turns["loss_surface"](), turns["bare loop"](), rtol=1e-4)
    print(f"jax {jax.__version__}, {jax.default_backend()}, {IMAGES} images in batches of {BATCH}")
    show_times(f"{steps} x {steps} points", medians(turns, rounds))


if __name__ == "__main__":
    main()
