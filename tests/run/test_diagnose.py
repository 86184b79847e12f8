"""A trained run is judged, and the loss around it measured, as a user calls for it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.config.build import build
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.commands.diagnose import show
from jaxopt_lab.run.commands.evaluate import evaluate_runs
from jaxopt_lab.run.commands.landscape import measure_landscape
from jaxopt_lab.run.commands.spectrum import measure_curvature
from jaxopt_lab.run.records.diagnosis import write_diagnosis
from jaxopt_lab.run.records.fit import judge_fit, last_sound_step
from jaxopt_lab.run.records.subject import find_subject
from jaxopt_lab.run.terminal.progress import Progress

TABLES = {
    "data": {"name": "digits", "batch_size": 64, "validation": 0.15, "train_size": 320},
    "model": {"name": "mlp", "hidden": [12], "norm": "batch"},
    "loss": {"name": "softmax_cross_entropy"},
    "optimizer": {"name": "momentum", "learning_rate": 0.1},
    "train": {"epochs": 8},
}


def test_numbers_are_judged_beside_their_mean():
    """Targets far from zero: a first loss of their squares is no measure of what is learned."""
    tables = TABLES | {"data": {"name": "diabetes"}, "loss": {"name": "squared_error"}}
    experiment = build(parse_config(tables))
    losses = np.full(9, 5400.0)
    history = {"loss": np.linspace(30000, 5400, 9), "train_loss": losses, "val_loss": losses}
    found = judge_fit(experiment, history, diverged=False)
    assert experiment.train_sample
    assert found.evidence["chance"] == pytest.approx(experiment.train_sample["y"].var(), rel=1e-5)
    assert found.kind == "underfitting"


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory):
    """Two runs from two seeds, in a path with a space."""
    parent = tmp_path_factory.mktemp("some runs")
    for seed in (0, 1):
        config = parse_config(TABLES | {"seed": seed})
        jaxopt_lab.train(config, parent / f"run {seed}", progress=False)
    return [parent / "run 0", parent / "run 1"]


def test_a_run_is_judged_and_its_page_written(runs, capsys):
    found = jaxopt_lab.diagnose(jaxopt_lab.load_run(runs[0]))
    show(found, Progress())
    out = capsys.readouterr().out
    for words in ("held out", "gradients, first step", "activations, end", "probabilities"):
        assert words in out
    page = write_diagnosis(found).read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png") == 6
    numbers = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert numbers["fit"] == json.loads((runs[0] / "summary.json").read_text())["fit"]
    assert numbers["layers"]["end"]["activations"]["by_layer"]["names"] == ["relu", "none"]


def test_the_command_writes_a_page_or_prints_numbers(runs, capsys):
    assert cli.main(["diagnose", str(runs[0])]) == 0
    assert "wrote" in capsys.readouterr().out
    assert cli.main(["diagnose", str(runs[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fit"]["kind"]


def test_a_diverged_run_is_judged_by_its_beginning(tmp_path):
    tables = TABLES | {"optimizer": {"name": "sgd", "learning_rate": 1e30}}
    result = jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    assert result.stopped_by == "diverged"
    found = jaxopt_lab.diagnose(result)
    assert found.fit.kind == "diverged" and list(found.layers) == ["first step"]
    assert found.calibration is None
    json.dumps(found.as_json(), allow_nan=False)
    with pytest.raises(InputError, match="diverged and kept no parameters, so there is nothing"):
        measure_curvature(tmp_path / "run")


def test_a_run_of_a_sweep_is_judged(tmp_path):
    tables = TABLES | {"sweep": {"optimizer.learning_rate": [1e-4, 0.1]}, "train": {"steps": 30}}
    jaxopt_lab.sweep(parse_sweep(tables), tmp_path / "sweep", progress=False)
    found = jaxopt_lab.diagnose(tmp_path / "sweep", member=1)
    np.testing.assert_allclose(found.config.optimizer.arguments["learning_rate"], 0.1)
    assert set(found.layers) == {"first step", "end"}
    assert found.history["train_accuracy"][-1] > 0.5
    # A sweep under way may be writing a row: who only reads cuts nothing off.
    with open(tmp_path / "sweep" / "runs.jsonl", "a") as file:
        file.write('{"run": 1, "wav')
    whole = (tmp_path / "sweep" / "runs.jsonl").read_bytes()
    jaxopt_lab.diagnose(tmp_path / "sweep", member=1)
    assert (tmp_path / "sweep" / "runs.jsonl").read_bytes() == whole
    for member in (None, 2, -1):
        with pytest.raises(InputError, match="name one of its runs by --member, 0 to 1, got"):
            jaxopt_lab.diagnose(tmp_path / "sweep", member=member)


def test_layers_that_cannot_train_are_found(tmp_path):
    deep = {"name": "mlp", "hidden": [8] * 12, "activation": "sigmoid"}
    tables = TABLES | {"model": deep, "train": {"epochs": 2}}
    result = jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    found = jaxopt_lab.diagnose(result)
    assert found.layers["first step"].gradients.kind == "vanishing"
    assert found.layers["first step"].gradients.layer in ("Dense_0", "Dense_1")
    assert any("residual" in text for text in found.remedies)


def test_what_was_not_written_or_held_out(tmp_path):
    data = TABLES["data"] | {"validation": 0.0}
    config = parse_config(TABLES | {"data": data, "train": {"steps": 3}})
    with pytest.raises(InputError, match="give a run_dir to train"):
        jaxopt_lab.diagnose(jaxopt_lab.train(config, progress=False))
    result = jaxopt_lab.train(config, tmp_path / "run", progress=False)
    assert jaxopt_lab.diagnose(result).fit.kind == "unknown"


def test_the_curvature_is_that_of_the_runs_own_loss(runs, capsys):
    found = measure_curvature(runs[0], samples=100, top=3)
    subject = find_subject(runs[0])
    (batch,) = subject.batches(100, 100)
    expected = subject.loss_fn(subject.params, batch).mean()
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)
    assert (np.asarray(found.top.residuals) < 1e-3 * float(found.top.greatest)).all()
    assert cli.main(["spectrum", str(runs[0]), "--samples", "50", "--top", "2"]) == 0
    assert "eigenvalue 2" in capsys.readouterr().out
    assert (runs[0] / "plots" / "spectrum.png").stat().st_size > 10_000
    assert cli.main(["spectrum", str(runs[0]), "--samples", "0"]) == 2
    assert "--samples must be >= 1, got 0" in capsys.readouterr().err


def test_a_surface_has_the_runs_own_loss_at_its_center(runs, tmp_path, capsys):
    found = measure_landscape(runs[:1], samples=100, points=5)
    subject = find_subject(runs[0])
    (batch,) = subject.batches(100, 100)
    own = subject.loss_fn(subject.params, batch).mean()
    np.testing.assert_allclose(found.surface.values[2, 2], own, rtol=1e-6)
    output = tmp_path / "surface.png"
    command = ["landscape", str(runs[0]), "--samples", "50", "--points", "3"]
    assert cli.main([*command, "--output", str(output)]) == 0
    assert output.exists()
    assert cli.main([*command, "--output", str(tmp_path / "x.jpg")]) == 2
    assert "must name a .png" in capsys.readouterr().err


def test_a_line_has_the_runs_own_losses_at_its_ends(runs):
    found = measure_landscape(runs, samples=128, points=5)
    ((name, values),) = found.lines.items()
    assert name == "run 0 to run 1"
    for place, path in ((0, runs[0]), (-1, runs[1])):
        subject = find_subject(path)
        (batch,) = subject.batches(128, 128)
        own = subject.loss_fn(subject.params, batch).mean()
        np.testing.assert_allclose(values[place], own, rtol=1e-6)
    # Two seeds are two basins.
    assert found.barriers[name] > 0.1
    json.dumps(found.as_json(), allow_nan=False)


def test_a_checkpoint_is_looked_at_as_evaluate_does(tmp_path):
    # Its parameters are an average, to which no statistics of training belong.
    free = {"name": "schedule_free_sgd", "learning_rate": 0.5}
    train = {"steps": 20, "checkpoint_every": 10}
    config = parse_config(TABLES | {"optimizer": free, "train": train})
    jaxopt_lab.train(config, tmp_path / "run", progress=False)
    subject = find_subject(tmp_path / "run", step=10)
    own = subject.loss_fn(subject.params, subject.experiment.test).mean()
    (found,) = evaluate_runs([tmp_path / "run"], step=10).values()
    np.testing.assert_allclose(own, found["loss"], rtol=1e-5)


def test_between_two_runs_batch_statistics_are_those_of_the_point(runs):
    subjects = [find_subject(path) for path in runs]
    a, b = (subject.params for subject in subjects)
    (batch,) = subjects[0].batches(128, 128)
    middle = {k: {n: (p + b[k][n]) / 2 for n, p in v.items()} for k, v in a.items()}
    forward = subjects[0].experiment.forward
    # By hand: each half batch of 64 normalizes itself, and the mean of both is what is used.
    x = batch["x"].reshape(2, 64, *batch["x"].shape[1:])
    zeros = {"batch_stats": _zeros(subjects[0])}
    first, second = (
        forward.train(middle, zeros, half, jax.random.key(0))[1]["batch_stats"] for half in x
    )
    momentum = 0.9
    own = jax.tree.map(lambda a, b: (a + b) / 2 / (1 - momentum), first, second)
    outputs = forward.evaluate(middle, {"batch_stats": own}, batch["x"])
    expected = subjects[0].experiment.objective.loss(outputs, batch["y"]).mean()
    found = measure_landscape(runs, samples=128, points=3).lines["run 0 to run 1"][1]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def _zeros(subject):
    stats = subject.model_state["batch_stats"]
    return {k: {n: jnp.zeros_like(v) for n, v in fields.items()} for k, fields in stats.items()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["spectrum", "{0}", "--samples", "0"], "--samples must be >= 1, got 0"),
        (["spectrum", "{0}", "--top", "1000000"], "--top must be in [1, 100], got 1000000"),
        (["landscape", "{0}", "--points", "1"], "--points in [3, 501], got 1000 and 1"),
        (["landscape", "{0}", "--extent", "nan"], "--extent must be > 0 and finite, got nan"),
        (["diagnose", "{0}", "--member", "3"], "is a run and no sweep: leave out --member 3"),
        (["diagnose", "{0}/nowhere"], "holds no run"),
    ],
)
def test_a_mistake_has_one_message(runs, arguments, words, capsys):
    assert cli.main([a.format(runs[0]) for a in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_runs_of_two_networks_have_no_line_between_them(runs, tmp_path):
    tables = TABLES | {"model": {"name": "linear"}, "train": {"steps": 2}}
    jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    with pytest.raises(InputError, match=r"another network than .*run 0: there is no line"):
        measure_landscape([runs[0], tmp_path / "run"])


@pytest.mark.parametrize(
    ("loss", "val_loss", "more", "step"),
    [
        ([2, 1, 3, 50], [2, 1], {}, 3),
        ([2, 1, 3, 4], [2, 90], {}, 2),
        ([2, np.inf], [2], {}, 1),
        ([np.nan, 2, 1], [2], {}, 0),
        ([np.nan, 2, 1, 60], [], {"skipped": np.ones(4)}, 3),  # the first was left out
        ([], [], {}, 0),
    ],
)
def test_up_to_which_step_no_loss_had_diverged(loss, val_loss, more, step):
    history = {"step": np.arange(1, len(loss) + 1), "loss": np.array(loss, np.float32)} | more
    history |= {"eval_step": 2 * np.arange(1, len(val_loss) + 1), "val_loss": np.array(val_loss)}
    assert last_sound_step(history) == step
