"""Parameters and states split over devices: what lies where, and that nothing else changes.

Where devices are needed the test runs this file in a process of its own, with eight of them.
"""

import functools
import re
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec
from processes import run_file

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import device_mesh
from jaxopt_lab.engine.layout import Layout, Rule, init_sharded, like_parameters

P = PartitionSpec
SIZES = {"data": 4, "model": 2}
BOTH = ("data", "model")


def shapes(**given):
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in given.items()}


@pytest.mark.parametrize(
    ("split", "shape", "spec"),
    [
        ((), (512, 512), P()),
        (("model",), (512, 256), P(("model",))),
        (("model",), (255, 256), P(None, ("model",))),
        (("model",), (255, 257), P()),  # nothing divides it
        (("model",), (31, 32), P()),  # small
        (BOTH, (3, 3, 64, 128), P(None, None, None, BOTH)),
        (BOTH, (510, 258), P(("model",))),  # 8 divides neither, 2 both
        (BOTH, (2048,), P(BOTH)),
    ],
)
def test_the_largest_axis_that_the_devices_divide_is_split(split, shape, spec):
    assert Layout(SIZES, split).specs(shapes(w=shape)) == {"w": spec}


def test_a_rule_says_otherwise_and_the_first_that_matches_counts():
    rules = (Rule("kernel", ((), ("model",))), Rule(".", (("data",), ())))
    found = Layout(SIZES, BOTH, rules).specs(shapes(kernel=(512, 256), table=(512, 4)))
    assert found == {"kernel": P(None, ("model",)), "table": P(("data",), None)}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("cornel", ((), ())), r"'cornel' matches no parameter; there are a/kernel"),
        (Rule("kernel", ((),)), r"has 1 axes and a/kernel is of shape \(9, 6\): give one for each"),
        (Rule("kernel", ((), BOTH)), "axis 1 of a/kernel, 6 long, over 8 devices.* 8 would be"),
        (Rule("kernel", (("data",), ())), "axis 0 of a/kernel, 9 long, over 4 devices.* 8 would"),
    ],
)
def test_a_rule_that_does_not_fit_is_named(rule, message):
    with pytest.raises(InputError, match=message):
        Layout(SIZES, BOTH, (rule,)).specs({"a": shapes(kernel=(9, 6))})


def test_a_mesh_that_does_not_divide_the_devices_is_named():
    eight = [*range(8)]
    with pytest.raises(
        InputError, match=r"3 devices a run \(data = 3, model = 1\).* 8 .*: 2 would"
    ):
        device_mesh(eight, data=3)
    with pytest.raises(InputError, match=r"16 devices a run .* do not divide the 8 .*: 8 would"):
        device_mesh(eight, data=4, model=4)


@pytest.mark.parametrize(
    "tx",
    {
        "adam": optax.adam(0.1),
        "chain": optax.chain(optax.clip(1.0), optax.trace(0.9), optax.ema(0.9)),
        "multi_steps": optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(),
        "masked": optax.masked(optax.adam(0.1), {"a": {"w": True}, "b": {"w": False}}),
        "injected": optax.inject_hyperparams(optax.adam)(0.1),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_state_belongs_to_its_parameter(tx):
    # Of one shape, so that the path alone tells them apart.
    params = {"a": shapes(w=(32, 32)), "b": shapes(w=(32, 32))}
    state = jax.eval_shape(tx[1].init, params)
    found = like_parameters(state, params, {"a": {"w": "a"}, "b": {"w": "b"}}, "none")
    for path, entry in jax.tree_util.tree_leaves_with_path(found):
        name = re.search(r"\['([ab])'\]", jax.tree_util.keystr(path))
        assert entry == (name[1] if name else "none")
    assert "a" in jax.tree.leaves(found)


def test_eight_devices_train_what_one_does():
    run_file(__file__, "equal", devices=8)


def test_eight_devices_train_what_one_does_by_curvature():
    run_file(__file__, "by_curvature", devices=8)


def test_a_device_holds_its_part_and_no_state_is_gathered():
    run_file(__file__, "parts", devices=8)


def test_checkpoints_go_from_eight_devices_to_two_and_one_and_back(tmp_path):
    run_file(__file__, "checkpoints", tmp_path, devices=8)


def _layouts():
    """By kind: the table `[mesh]`, and the layout that it means."""
    from jaxopt_lab.config.checks import parse_mesh
    from jaxopt_lab.config.layout import build_layout

    tables = {
        "copied": {"data": 8},
        "split": {"shard": "full"},
        "mesh 4x2": {"data": 4, "model": 2},
    }
    return {kind: (table, build_layout(parse_mesh(table))) for kind, table in tables.items()}


def _params(dtype):
    keys = jax.random.split(jax.random.key(0), 3)
    sides = ((16, 64), (64, 64), (64, 8))
    return {
        f"layer_{i}": {
            "kernel": jax.random.normal(k, side, dtype) / side[0] ** 0.5,
            "bias": jnp.zeros(side[1], dtype),
        }
        for i, (k, side) in enumerate(zip(keys, sides, strict=True))
    }


def _loss(params, batch):
    x = batch["x"]
    for name in ("layer_0", "layer_1"):
        x = jnp.tanh(x @ params[name]["kernel"] + params[name]["bias"][None])
    outputs = x @ params["layer_2"]["kernel"] + params["layer_2"]["bias"][None]
    return jnp.mean((outputs - batch["y"]) ** 2)


def _batches(steps, dtype):
    def drawn(key, columns):
        return jax.random.normal(jax.random.key(key), (steps, 32, columns), dtype)

    return {"x": drawn(1, 16), "y": drawn(2, 8)}


def _trained(every, dtype, layout, steps=20):
    """Parameters and state of every transformation after some steps, and the compiled program."""
    params, batches = _params(dtype), _batches(steps, dtype)
    place = (lambda params: params) if layout is None else layout.gathered
    if layout is not None:
        params = jax.device_put(params, layout.place(layout.specs(params)))
    carry = {name: (params, init_sharded(tx, params)) for name, tx in every.items()}
    where = None if layout is None else jax.tree.map(lambda x: x.sharding, carry)

    def moved(tx, params, state, batch):
        value, grads = jax.value_and_grad(lambda p: _loss(place(p), batch))(params)
        updates, state = tx.update(grads, state, params, value=value)
        return optax.apply_updates(params, updates), state

    def step(carry, batch):
        if layout is not None:
            batch = jax.lax.with_sharding_constraint(batch, layout.place(P("data")))
        carry = {name: moved(tx, *carry[name], batch) for name, tx in every.items()}
        return jax.lax.with_sharding_constraint(carry, where) if layout else carry, None

    many = jax.jit(lambda carry: jax.lax.scan(step, carry, batches)[0], out_shardings=where)
    compiled = many.lower(carry).compile()
    return compiled(carry), compiled


def _first_order():
    import cases

    from jaxopt_lab import optimizers

    given = {name: g | {"learning_rate": 1e-2} for name, g in cases.OPTIMIZERS.items()}
    return {name: optimizers.OPTIMIZERS[name](**g) for name, g in given.items()}


def equal():
    """Sums over the batch are taken in another order: 1e-5, and in float64 1e-12."""
    for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.float64, 1e-12)):
        jax.config.update("jax_enable_x64", dtype == jnp.float64)
        alone, _ = _trained(_first_order(), dtype, None)
        for kind, (_, layout) in _layouts().items():
            found, _ = _trained(_first_order(), dtype, layout)
            for name in alone:
                pairs = (jax.tree.leaves(run[name][0]) for run in (found, alone))
                worst = max(np.abs(np.asarray(a) - b).max() for a, b in zip(*pairs, strict=True))
                assert worst <= tolerance, (dtype, kind, name, worst)


def _config(optimizer, **tables):
    from jaxopt_lab.config.parse import parse_config

    data = {"name": "digits", "batch_size": 64, "train_size": 320}
    model = {"name": "mlp", "hidden": [64, 32]}
    base = {"data": data, "model": model, "optimizer": optimizer, "train": {"steps": 20}}
    return parse_config(base | tables)


def by_curvature():
    """The methods of second order, through the engine: a float32 run from end to end."""
    import cases

    # A damping that keeps rounding from being magnified, where pixels are blank and curvature is
    # next to nothing.
    damped = {
        "natural_gradient": {"damping": 1.0, "adapt_damping": False},
        "diagonal_hessian": {"damping": 0.1},
    }
    for name, given in cases.SECOND_ORDER.items():
        optimizer = {"name": name, **given, "learning_rate": 0.01, **damped.get(name, {})}
        # Some invert a matrix of all parameters: few, and split by a rule.
        model = {"name": "mlp", "hidden": [8], "activation": "tanh"}
        trained = functools.partial(_trained_by_curvature, optimizer, model, warm=name == "soap")
        alone = trained(None)
        for kind, (table, _) in _layouts().items():
            axis = {"copied": "none", "split": "all", "mesh 4x2": "model"}[kind]
            mesh = table | {"rule": [{"match": "Dense_0/kernel", "axes": [axis, "none"]}]}
            found = trained(mesh)
            pairs = (jax.tree.leaves(run.params) for run in (found, alone))
            worst = max(np.abs(np.asarray(a) - b).max() for a, b in zip(*pairs, strict=True))
            assert worst <= 1e-5, (name, kind, worst)


def _trained_by_curvature(optimizer, model, mesh, *, warm):
    """A run of 20 steps; `warm`, the last 20 of 50, of which the others are on one device.

    A vector's first outer product has one direction: what basis SOAP finds for the others is
    rounding, which Adam in that basis magnifies. Of many steps it has them all.
    """
    import jaxopt_lab

    if not warm:
        config = _config(optimizer, model=model, **({} if mesh is None else {"mesh": mesh}))
        return jaxopt_lab.train(config, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        begun, longer = f"{folder}/begun", f"{folder}/longer"
        config = _config(optimizer, model=model, train={"steps": 30})
        jaxopt_lab.train(config, begun, progress=False)
        jaxopt_lab.prolong(begun, longer, steps=50)
        return jaxopt_lab.train(None, longer, resume=True, progress=False, mesh=mesh)


def parts():
    """Bytes of a device, and what the compiled step of `adam` gathers."""
    from jaxopt_lab.core.tree import size_bytes

    every = {name: tx for name, tx in _first_order().items() if name in ("adam", "nesterov")}
    (_, layout) = _layouts()["split"]
    carry, compiled = _trained(every, jnp.float32, layout)
    kernels = ("layer_0", "layer_1")
    for name, (params, state) in carry.items():
        device = jax.devices()[3]
        leaves = jax.tree.leaves((params, state))
        held = sum(
            s.data.nbytes for x in leaves for s in x.addressable_shards if s.device == device
        )
        copied = size_bytes([x for x in leaves if x.sharding.is_fully_replicated])
        assert held <= size_bytes(leaves) / 8 + copied, name
        moments = len([x for x in jax.tree.leaves(state) if x.shape == (64, 64)])
        split = [x for x in leaves if not x.sharding.is_fully_replicated]
        assert len(split) == len(kernels) * (1 + moments)
    # Each split kernel is brought together once a step, for each of the two, and nothing else is.
    gathered = re.findall(r"= f32\[([\d,]+)\]\S* all-gather\(", compiled.as_text())
    assert sorted(gathered) == ["16,64"] * 2 + ["64,64"] * 2, gathered


def checkpoints(folder):
    """From eight devices to two, to one and back: the same bytes."""
    import pathlib

    import jaxopt_lab

    config = _config({"name": "adam", "learning_rate": 0.01}, mesh={"shard": "full"})
    jaxopt_lab.train(config, folder, progress=False)
    from jaxopt_lab.config.build import build
    from jaxopt_lab.config.checks import parse_mesh
    from jaxopt_lab.config.layout import build_layout
    from jaxopt_lab.engine import OneRun, checkpoint
    from jaxopt_lab.run.records.identity import identity_of

    experiment, identity = build(config), identity_of(config, None)
    place, seen = pathlib.Path(folder) / "checkpoints", []
    for devices, table in (
        (8, {"shard": "full"}),
        (2, {"shard": "full"}),
        (1, {}),
        (8, {"data": 4, "model": 2}),
    ):
        layout = build_layout(parse_mesh(table), devices)
        template = OneRun(experiment, layout=layout).start()
        step, state = checkpoint.restore(place, template, config_hash=identity)
        assert step == 20
        for x, like in zip(*map(jax.tree.leaves, (state, template)), strict=True):
            assert x.sharding.is_equivalent_to(like.sharding, x.ndim)
        seen.append([np.asarray(x) for x in jax.tree.leaves((state.params, state.opt_state))])
        place = pathlib.Path(folder) / f"again-{devices}-{len(seen)}"
        place.mkdir()
        checkpoint.save(place, step, state, config_hash=identity)
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


if __name__ == "__main__":
    checks = {f.__name__: f for f in (equal, by_curvature, parts, checkpoints)}
    checks[sys.argv[1]](*sys.argv[2:])
