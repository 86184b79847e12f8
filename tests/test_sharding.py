"""Optimizers and controls on two devices: states lie where their parameters do, values agree.

The devices must be set up before JAX starts, so the test runs this file in a process of its own.
"""

from processes import run_file


def test_two_devices():
    run_file(__file__, devices=2)


def check(every):
    """Two steps of every transformation, all in one program."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from control.making import metrics

    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    params = {"w": jnp.linspace(-1, 1, 24).reshape(6, 4), "b": jnp.arange(3.0)}
    shardings = {"w": rows, "b": jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())}

    def step(tx, params, state):
        grads = jax.tree.map(lambda p: jnp.cos(3 * p), params)
        value = jnp.float32(1.0)
        updates, state = tx.update(grads, state, params, value=value, metrics=metrics(1.0))
        return jax.tree.map(jnp.add, params, updates), state

    def two_steps(params):
        once = jax.jit(lambda runs: {name: step(every[name], *run) for name, run in runs.items()})
        return once(once({name: (params, tx.init(params)) for name, tx in every.items()}))

    alone, sharded = two_steps(params), two_steps(jax.device_put(params, shardings))
    for path, leaf in jax.tree_util.tree_leaves_with_path(sharded):
        if leaf.shape == (6, 4):
            place = f"{jax.tree_util.keystr(path)}: {leaf.sharding}"
            assert leaf.sharding.is_equivalent_to(rows, 2), place
    # Sums are made in another order on two devices. Muon's five Newton-Schulz steps multiply small
    # singular values by up to 3.44 each, 485 in all: of an update of 0.1, 485 x 6e-8 x 0.1 = 3e-6.
    for name in every:
        pairs = (jax.tree.leaves(alone[name]), jax.tree.leaves(sharded[name]))
        for a, b in zip(*pairs, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=6e-6, err_msg=name)


def main():
    import cases
    import jax
    import jax.numpy as jnp
    import optax
    import pytest
    from control.making import make

    from jaxopt_lab import optimizers
    from jaxopt_lab.testing.transformation import state_keeps_the_sharding

    assert jax.device_count() == 2
    elsewhere = optax.GradientTransformation(
        lambda params: jax.tree.map(lambda p: jnp.zeros(p.shape), params), optax.sgd(0.1).update
    )
    with pytest.raises(AssertionError, match="the state lies where its parameters do"):
        state_keeps_the_sharding(elsewhere)
    every = {n: optimizers.OPTIMIZERS[n](**given) for n, given in cases.OPTIMIZERS.items()}
    every |= {name: make(name, inner=optimizers.adam(0.1)) for name in cases.CONTROLS}
    for tx in every.values():
        state_keeps_the_sharding(tx)
    check(every)


if __name__ == "__main__":
    main()
