"""What a step is said to need is what it takes, and what surely does not fit is refused at once."""

import pathlib

import jax
import pytest

from jaxopt_lab import train
from jaxopt_lab.config.build import build
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine.needs import in_bytes, needs_of, require_compiled, require_fit
from jaxopt_lab.run.commands.find_lr import find_lr

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
QUICK = ("digits_mlp", "digits_cnn")
SHIPPED = [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow)
    for path in sorted(CONFIGS.glob("*.toml"))
    if not path.stem.startswith("cifar10")
    and not {"[linear]", "[sweep]"} & set(path.read_text().split())
]
HUGE = 2**31 - 1


def configuration(**tables):
    data = {"name": "digits", "batch_size": 16}
    optimizer = {"name": "adam", "learning_rate": 0.1}
    return Config.of(
        **{"data": data, "model": "mlp", "optimizer": optimizer, "train": {"steps": 2}} | tables
    )


def sized(experiment):
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    batch = experiment.drawn.shapes(experiment.train)
    return state, batch, needs_of(experiment.step, state, batch)


@pytest.mark.parametrize("path", SHIPPED)
def test_what_is_counted_is_less_than_a_compiled_step_takes(path):
    experiment = build(load_config(path))
    state, batch, needs = sized(experiment)
    compiled = jax.jit(experiment.step, donate_argnums=0).lower(state, batch).compile()
    taken = compiled.memory_analysis().temp_size_in_bytes
    assert 0.3 * taken < needs.step < 1.25 * taken
    # The key of a run, 8 bytes, aside.
    assert needs.state == pytest.approx(compiled.memory_analysis().alias_size_in_bytes, abs=64)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"model": {"name": "mlp", "hidden": [HUGE]}},
            r"of Dense_0/kernel: lower the sizes in \[model\]",
        ),
        ({"model": {"name": "mlp", "hidden": [300_000] * 2}}, "300000 x 300000 float32, 335"),
        ({"model": {"name": "mlp", "unit": "maxout", "pieces": 10**7}}, "of Maxout_1"),
        (
            {"model": {"name": "mlp", "unit": "maxout", "pieces": HUGE}},
            "model.pieces: of the",
        ),
        ({"model": {"name": "resnet", "width": 10**6}}, "of BasicBlock_"),
        ({"model": {"name": "wide_resnet", "width": 10**5}}, "of WideBlock_"),
        (
            {"model": {"name": "cnn", "channels": [HUGE], "norm": "group"}},
            "2147483647 x 10 ",
        ),
        ({"augment": {"name": "augmix", "width": HUGE}}, "beyond what JAX counts"),
        ({"augment": {"name": "augmix", "width": 10**7}}, r"take less in \[\[augment"),
        ({"control": {"name": "snapshots", "members": 10**8}}, "optimizer state"),
        ({"train": {"steps": 2, "microbatches": HUGE}}, "train.microbatches: 2,147,483,647 parts"),
    ],
)
def test_what_cannot_fit_is_refused_before_it_is_made(tables, words):
    if "control" in tables:
        tables = tables | {"schedule": {"name": "sgdr", "cycle": 1}}
    with pytest.raises(InputError, match=words):
        train(configuration(**tables), progress=False)


def test_many_runs_need_as_much_as_all_of_them():
    config = configuration(model={"name": "mlp", "hidden": [10_000, 10_000]})
    with pytest.raises(InputError, match=r"for [\d,]+ runs at once .* take fewer runs or seeds"):
        find_lr(config, seeds=10_000, progress=False)


def test_a_step_that_fits_is_let_pass_and_one_byte_of_memory_is_not_enough(monkeypatch):
    experiment = build(configuration())
    state, batch, needs = sized(experiment)
    device = jax.devices()[0]
    require_fit(needs, state, device)
    compiled = jax.jit(experiment.step).lower(state, batch).compile()
    require_compiled(compiled, needs, device)
    monkeypatch.setattr("jaxopt_lab.engine.needs.machine_memory", lambda: 1)
    with pytest.raises(InputError, match="there is 1 B"):
        require_fit(needs, state, device)
    monkeypatch.setattr("jaxopt_lab.engine.needs.free_memory", lambda: 1000)
    with pytest.raises(InputError, match="1000 B is free"):
        require_compiled(compiled, needs, device)


def test_loops_and_calls_are_looked_into():
    def step(state, batch):
        def body(carry, x):
            return carry, jax.nn.relu(x @ batch["w"]) @ batch["w"].T  # 1000 numbers within

        return state, jax.jit(lambda xs: jax.lax.scan(body, 0.0, xs)[1])(batch["x"])

    float32 = jax.numpy.float32
    shapes = {"x": (7, 10, 2), "w": (2, 100)}
    batch = {name: jax.ShapeDtypeStruct(shape, float32) for name, shape in shapes.items()}
    state = jax.eval_shape(build(configuration()).init, jax.random.key(0))
    # In a pass a product and its activation, and all that the loop gives.
    assert needs_of(step, state, batch).step == 4 * (2 * 1000 + 7 * 10 * 2)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1536, "1.5 KiB"), (3 * 2**30, "3 GiB"), (2**80, "1.13e+15 GiB")],
)
def test_bytes_in_words(count, words):
    assert in_bytes(count) == words
