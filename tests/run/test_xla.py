"""What a run is compiled with: told, kept to by a resume, and to be switched off."""

import json
import pathlib
import tomllib

import jax
import numpy as np
import pytest
from processes import outputs, processes_of_a_run

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash, to_toml
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.engine import compiled_steps, fusions
from jaxopt_lab.engine.fusions import DEFAULT, YNN, fusions_for, has_fusions
from jaxopt_lab.engine.needs import traced
from jaxopt_lab.run.commands import rungs
from jaxopt_lab.run.records.same_fusions import same_fusions
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.sweeps import _population

pytestmark = pytest.mark.skipif(
    not has_fusions(YNN, "cpu"), reason="this jaxlib has no YNNPACK fusions"
)

TABLES = {
    "data": {"name": "digits", "batch_size": 64, "train_size": 256, "validation": 0.2},
    "model": {"name": "cnn", "channels": [4, 4]},
    "optimizer": {"name": "momentum", "learning_rate": 0.1},
    "train": {"steps": 8, "evaluate_every": 4, "checkpoint_every": 2, "keep": "all"},
}


def config(**train):
    return parse_config(TABLES | {"train": TABLES["train"] | train})


def chosen(monkeypatch, name):
    """Let the rule choose fusions, whatever the program."""
    for place in (compiled_steps, _population):
        monkeypatch.setattr(place, "fusions_for", lambda *_, **__: name)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in [folder / "metrics.jsonl", *sorted((folder / "checkpoints").glob("*"))]
    }


def told(folder):
    """The summary's word, and those of the checkpoints in order."""
    manifests = sorted((folder / "checkpoints").glob("*.json"))
    beside = [json.loads(path.read_text())["beside"]["xla"] for path in manifests]
    return json.loads((folder / "summary.json").read_text())["xla"], beside


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory):
    """The folder of a run with each of the fusions."""
    place, made = tmp_path_factory.mktemp("runs"), {}
    for name in (YNN, DEFAULT):
        with pytest.MonkeyPatch.context() as patch:
            chosen(patch, name)
            jaxopt_lab.train(config(), made.setdefault(name, place / name), progress=False)
    return made


def test_the_choice_is_told_and_rounds_otherwise(runs):
    for name, folder in runs.items():
        assert told(folder) == (name, [name] * 4)
    ynn, default = map(contents, runs.values())
    assert ynn["metrics.jsonl"] != default["metrics.jsonl"]  # so that the tests below can fail
    losses = [jaxopt_lab.load_run(folder).history["loss"] for folder in runs.values()]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("name", [YNN, pytest.param(DEFAULT, marks=pytest.mark.slow)])
def test_a_resume_keeps_to_it_whatever_the_rule_says_now(runs, name, monkeypatch):
    folder, before = runs[name], contents(runs[name])
    chosen(monkeypatch, YNN if name == DEFAULT else DEFAULT)
    jaxopt_lab.train(None, folder, resume=True, from_step=4, progress=False)
    assert contents(folder) == before and told(folder)[0] == name


def test_what_a_checkpoint_says_is_had_where_it_can_be(monkeypatch):
    said = []
    assert same_fusions({}, said.append) == DEFAULT  # of a version that had no choice
    assert [same_fusions({"xla": name}, said.append) for name in (YNN, DEFAULT)] == [YNN, DEFAULT]
    assert not said
    assert same_fusions({"xla": "of another version"}, said.append) == DEFAULT
    assert len(said) == 1 and "'of another version'" in said[0] and "\n" not in said[0]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert same_fusions({"xla": YNN}, said.append) == DEFAULT and len(said) == 1


@pytest.mark.slow
def test_a_jaxlib_without_it_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    chosen(monkeypatch, YNN)
    jaxopt_lab.train(config(), tmp_path / "run", progress=False)
    monkeypatch.setitem(fusions._OPTIONS, YNN, {"xla_no_such": "a"})
    capsys.readouterr()
    jaxopt_lab.train(None, tmp_path / "run", resume=True, from_step=4)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("cannot compile with xla = 'ynn', as before: the default goes on") == 1
    assert told(tmp_path / "run") == (DEFAULT, [YNN, YNN, DEFAULT, DEFAULT])


def test_it_can_be_switched_off(monkeypatch):
    chosen(monkeypatch, YNN)
    for xla, wanted in (("auto", YNN), ("default", DEFAULT)):
        result = jaxopt_lab.train(config(xla=xla, steps=2), progress=False)
        assert result.summary["xla"] == wanted


def test_unless_it_is_given_it_is_no_part_of_what_a_run_is():
    assert config_hash(config()) == config_hash(config(xla="auto"))
    assert config_hash(config()) != config_hash(config(xla="default"))
    assert 'xla = "auto"' in to_toml(config())
    with pytest.raises(ConfigError, match=r"train\.xla: .*auto.*default.*got 'fast'"):
        config(xla="fast")


@pytest.mark.slow
def test_a_sweep_goes_on_with_it(tmp_path, monkeypatch):
    grid = {"optimizer.learning_rate": [0.05, 0.1], "vectorize": "map"}
    plan = parse_sweep(TABLES | {"sweep": grid})
    chosen(monkeypatch, YNN)
    whole = jaxopt_lab.sweep(plan, progress=False)
    monkeypatch.setattr(rungs, "SAVE_SECONDS", 0.0)
    save, named = SweepFolder.save_progress, []

    def dying(self, wave, step, *rest):
        save(self, wave, step, *rest)
        if step >= 4:
            raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SweepFolder, "save_progress", dying)
        with pytest.raises(OSError, match="full"):
            jaxopt_lab.sweep(plan, tmp_path / "sweep", progress=False)
    chosen(monkeypatch, DEFAULT)
    compile_with = _population.Population.compile_with

    def compiling(self, name):
        named.append(name)
        compile_with(self, name)

    monkeypatch.setattr(_population.Population, "compile_with", compiling)
    found = jaxopt_lab.sweep(None, tmp_path / "sweep", resume=True, progress=False)
    assert named == [DEFAULT, YNN]
    for ours, theirs in zip(found.runs, whole.runs, strict=True):
        assert ours is not None and theirs is not None
        jax.tree.map(np.testing.assert_array_equal, ours.history, theirs.history)


CHOOSING = """
from jaxopt_lab.engine import compiled_steps
compiled_steps.fusions_for = lambda *_, **__: "ynn"
"""


@pytest.mark.slow
def test_two_processes_keep_to_it(tmp_path):
    path, run = tmp_path / "config.toml", tmp_path / "run"
    path.write_text(to_toml(config()))
    logs = []
    for arguments, before in (
        ((path, "--run-dir", run), CHOOSING),
        (("--resume", run, "--from-step", 4), ""),
    ):
        processes = processes_of_a_run("train", *arguments, before=before, count=2, devices=2)
        out = outputs(processes)
        assert [process.returncode for process in processes] == [0, 0], out
        assert told(run) == (YNN, [YNN] * 4)
        logs.append((run / "metrics.jsonl").read_bytes())
    assert logs[0] == logs[1]


CONFIGS = {path.stem: path for path in (pathlib.Path(__file__).parents[2] / "configs").glob("*")}


@pytest.mark.slow
def test_of_the_shipped_configurations_those_with_large_convolutions_are_compiled_so():
    rng, found = np.random.default_rng(0), {}
    colors = rng.integers(0, 256, (700, 32, 32, 3), np.uint8), np.arange(700) % 10
    for name, path in sorted(CONFIGS.items()):
        tables = tomllib.loads(path.read_text())
        if not {"linear", "sweep"} & tables.keys():
            given = colors if name.startswith("cifar10") else None
            experiment = build(parse_config(tables), data=given)
            state = jax.eval_shape(experiment.init, jax.random.key(0))
            batch = experiment.drawn.shapes(experiment.train)
            found[name] = fusions_for(traced(experiment.step, state, batch), "cpu")
    assert len(found) > 20
    large = {name for name, chosen in found.items() if chosen == YNN}
    bfloat16 = {"cifar10_resnet18"}
    assert large == {name for name in found if name.startswith("cifar10")} - bfloat16
