"""What a mesh is reckoned to cost against what the compiled program does, on eight devices."""

import pytest
from processes import run_file

from jaxopt_lab.engine.collectives import collectives
from jaxopt_lab.engine.scale import CHIPS, Cost, step_seconds


def test_collectives_are_read_from_a_program():
    text = """
      %a = f32[64,8]{1,0} all-gather(%x), channel_id=1
      %b = (f32[], bf16[3]{0}) all-reduce(%y, %z)
      %c = pred[5]{0} all-to-all-start(%y)
      %d = f32[7]{0} add(%x, %y)
    """
    found = [("all-gather", 4 * 64 * 8), ("all-reduce", 4 + 2 * 3), ("all-to-all", 5)]
    assert list(collectives(text)) == found


def test_the_time_of_a_step_by_hand():
    cost = Cost(state=8.19e9, summed=2e9, gathered=0.0, operations=197e9, kept=0.0)
    time = step_seconds(cost, CHIPS["v5e"], 8, "bfloat16")
    assert time["compute"] == pytest.approx(1e-3)
    assert time["memory"] == pytest.approx(20e-3)  # read once and written once
    assert time["links"] == pytest.approx(2 * 2e9 * 7 / 8 / 200e9)
    assert time["step"] == pytest.approx(time["memory"] + time["links"])


def test_the_bytes_are_those_of_the_compiled_step():
    run_file(__file__, devices=8)


def check():
    import collections

    import jax
    from jax.sharding import PartitionSpec

    from jaxopt_lab.config.build import assemble
    from jaxopt_lab.config.layout import build_layout
    from jaxopt_lab.config.parse import parse_config
    from jaxopt_lab.config.source import read
    from jaxopt_lab.config.tables import declared_by
    from jaxopt_lab.engine.layout import laid_out
    from jaxopt_lab.engine.scale import cost_on

    kfac = {"name": "kfac", "learning_rate": 0.01, "every": 1}
    adam = {"name": "adam", "learning_rate": 0.01}
    for optimizer, mesh in ((adam, {"data": 8}), (adam, {"shard": "full"}), (kfac, {"data": 8})):
        config = parse_config(
            {
                "data": {"name": "digits", "batch_size": 64},
                "model": {"name": "mlp", "hidden": [64, 64]},
                "optimizer": optimizer,
                "train": {"steps": 20},
                "mesh": mesh,
            }
        )
        layout = build_layout(config.mesh)
        assert layout is not None
        experiment = assemble(config, read(config), layout=layout)
        state = jax.eval_shape(experiment.init, jax.random.key(0))
        batch = experiment.drawn.shapes(experiment.train)
        places = layout.place(layout.state_specs(state, state.params))

        def at(x, sharding):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

        placed = jax.tree.map(at, state, places)
        rows = {name: at(x, layout.place(PartitionSpec("data"))) for name, x in batch.items()}
        step = jax.jit(laid_out(experiment.step, layout, places), out_shardings=(places, None))
        compiled = step.lower(placed, rows).compile()
        found = collections.Counter()
        for kind, size in collectives(compiled.as_text()):
            found[kind] += size
        shares = declared_by("optimizer", config.optimizer).shares
        factors = shares(state.opt_state, {"every": 1, "factors_every": 1}) if shares else 0
        cost = cost_on(layout, experiment.step, state, batch, factors=factors)
        reckoned = {"all-reduce": cost.summed, "all-gather": cost.gathered}
        case = (optimizer["name"], mesh, found, reckoned)
        for kind in {*found, *reckoned}:
            assert abs(found[kind] - reckoned.get(kind, 0)) <= 0.05 * max(found[kind], 1), case
        held = compiled.memory_analysis().argument_size_in_bytes
        own = sum(x.size * x.dtype.itemsize for x in batch.values()) / 8  # rows of the batch
        assert abs(cost.state + own - held) <= 0.05 * held, (case, cost.state, held)


if __name__ == "__main__":
    check()
