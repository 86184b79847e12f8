"""A batch spread over two devices gives the update of one device.

The devices must be set up before JAX starts, so the test runs this file in a process of its own.
"""

from processes import run_file


def test_two_devices():
    run_file(__file__, devices=2)


def main():
    import dataclasses

    import jax
    import numpy as np
    from cases import SECOND_ORDER as CASES
    from second_order.making import problem

    from jaxopt_lab.second_order import SECOND_ORDER

    assert jax.device_count() == 2
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    params, curvature = problem(samples=8)
    spread = dataclasses.replace(
        jax.device_put(curvature, everywhere), batch=jax.device_put(curvature.batch, rows)
    )
    every = {name: SECOND_ORDER[name](**arguments) for name, arguments in CASES.items()}

    @jax.jit
    def step(params, curvature):
        grads = curvature.gradient()
        # The updates alone: SOAP's state holds eigenvectors, whose signs mean nothing.
        return {
            name: tx.update(grads, tx.init(params), params, curvature=curvature)[0]
            for name, tx in every.items()
        }

    alone, sharded = step(params, curvature), step(jax.device_put(params, everywhere), spread)
    for name in every:
        pairs = (jax.tree.leaves(alone[name]), jax.tree.leaves(sharded[name]))
        for a, b in zip(*pairs, strict=True):
            # Sums are made in another order on two devices, and solves magnify their roundings.
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=name)


if __name__ == "__main__":
    main()
