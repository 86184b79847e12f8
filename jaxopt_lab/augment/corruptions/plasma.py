"""A random height map with detail at every scale: fog, and the grain of ice."""

import jax
import jax.numpy as jnp


def plasma(key: jax.Array, height: int, width: int, decay: float) -> jax.Array:
    """The diamond-square fractal, (height, width) in [0, 1]; smoother with a larger `decay`.

    On a torus whose side is a power of two: each level puts a point in the middle of four, then one
    between each two, each the mean of its four neighbors plus a uniform number whose range falls
    by decay^2 from level to level.
    """
    levels = max(1, (max(height, width) - 1).bit_length())
    noise = jax.random.uniform(key, (4**levels - 1,), jnp.float32, -1, 1)
    grid = jnp.zeros((1, 1))
    for level in range(levels):
        wobble = (100 / decay**level) ** 2
        size = grid.shape[0]
        # Each level takes its three numbers a point from where the one before it stopped.
        moves = wobble * noise[size**2 - 1 : 4 * size**2 - 1].reshape(3, size, size)
        up, left = (lambda a: jnp.roll(a, -1, 0)), (lambda a: jnp.roll(a, -1, 1))
        below, right = up(grid), left(grid)
        middle = (grid + below + right + up(right)) / 4 + moves[0]
        across = (grid + right + middle + jnp.roll(middle, 1, 0)) / 4 + moves[1]
        down = (grid + below + middle + jnp.roll(middle, 1, 1)) / 4 + moves[2]
        cells = jnp.stack([jnp.stack([grid, across], -1), jnp.stack([down, middle], -1)], 1)
        grid = cells.reshape(2 * size, 2 * size)
    grid = grid - grid.min()
    return (grid / grid.max())[:height, :width]
