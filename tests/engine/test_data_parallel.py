"""One run on eight devices is the run on one, BatchNorm and dropout included.

The devices must be set up before JAX starts, so the test runs this file in a process of its own.
"""

from processes import run_file


def test_eight_devices():
    run_file(__file__, devices=8)


def check():
    import jax
    import numpy as np
    import pytest

    import jaxopt_lab
    from jaxopt_lab.config.parse import parse_config
    from jaxopt_lab.core.errors import InputError

    tables = {
        "data": {"name": "digits", "batch_size": 64, "train_size": 256},
        "model": {"name": "mlp", "hidden": [16], "norm": "batch", "dropout": 0.2},
        "optimizer": {"name": "momentum", "learning_rate": 0.05},
        "augment": [{"name": "random_translate"}, {"name": "mixup"}],
        "train": {"steps": 12, "evaluate_every": 4},
    }
    config = parse_config(tables)
    one = jaxopt_lab.train(config, progress=False)
    for devices in (2, 8):
        many = jaxopt_lab.train(config, devices=devices, progress=False)
        leaf = jax.tree.leaves(many.params)[0]
        assert len(leaf.sharding.device_set) == devices
        for name in ("loss", "val_loss"):
            # Sums over the batch are taken in another order; Adam would amplify it at first.
            np.testing.assert_allclose(many.history[name], one.history[name], rtol=1e-4)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
            many.model_state,
            one.model_state,
        )
    with pytest.raises(InputError, match="not a multiple of the 3 devices: make it 63"):
        jaxopt_lab.train(config, devices=3, progress=False)
    tables["mesh"] = {"data": "all"}
    whole = jaxopt_lab.train(parse_config(tables), progress=False)
    assert len(jax.tree.leaves(whole.params)[0].sharding.device_set) == 8


if __name__ == "__main__":
    check()
