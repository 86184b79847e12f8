"""A sweep whose runs are split over devices of their own is the sweep on one device a run.

The devices must be set up before JAX starts, so the test runs this file in a process of its own.
"""

from processes import run_file


def test_eight_devices_as_four_runs_of_two():
    run_file(__file__, devices=8)


def check():
    import jax
    import numpy as np

    import jaxopt_lab
    from jaxopt_lab.config.sweep import parse_sweep

    tables = {
        "data": {"name": "digits", "batch_size": 64, "train_size": 320},
        "model": {"name": "mlp", "hidden": [64]},
        "optimizer": {"name": "adam", "eps": 1e-3, "learning_rate": 0.01},
        "train": {"steps": 20, "evaluate_every": 5},
        "sweep": {"optimizer.learning_rate": [0.001, 0.003, 0.01], "seeds": 2},
    }
    alone = jaxopt_lab.sweep(parse_sweep(tables), progress=False)
    for mesh in ({"data": 2}, {"data": 2, "shard": "full"}, {"data": 2, "model": 2}):
        found = jaxopt_lab.sweep(parse_sweep(tables | {"mesh": mesh}), progress=False)
        for ours, expected in zip(found.runs, alone.runs, strict=True):
            for name in ("loss", "val_loss", "train_loss"):
                np.testing.assert_allclose(
                    ours.history[name], expected.history[name], rtol=1e-4, err_msg=str(mesh)
                )
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5),
                ours.params,
                expected.params,
            )


if __name__ == "__main__":
    check()
