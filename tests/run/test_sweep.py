"""A sweep as a user calls it: its runs are those of `train`, and none minds another."""

import csv
import json
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from processes import run_file

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import load_sweep, parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import ensemble_predict
from jaxopt_lab.run.commands.rungs import Rungs
from jaxopt_lab.run.records.history import metrics_at
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import RunRecord, ranked
from jaxopt_lab.run.records.sweep_report import write_sweep_report
from jaxopt_lab.run.records.sweep_result import SweepResult
from jaxopt_lab.run.records.sweep_view import ranking
from jaxopt_lab.run.terminal.progress import Progress, SweepBar
from jaxopt_lab.sweeps import Population

CONFIG = """
[data]
name = "digits"
batch_size = 128
validation = 0.15
[model]
name = "mlp"
hidden = [16]
[optimizer]
name = "momentum"
learning_rate = 0.02
[schedule]
name = "cosine_decay"
[[penalty]]
name = "l2"
weight = 1e-4
[train]
epochs = 3
"""


@pytest.fixture(name="path")
def _path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def sweep(path, *grid, sets=(), run_dir=None, **kwargs):
    return jaxopt_lab.sweep(load_sweep(path, sets, grid), run_dir, progress=False, **kwargs)


def test_every_run_is_that_of_train(path):
    grid = ("optimizer.learning_rate=[0.01, 0.1]", "penalty.0.weight=[0.0, 1e-3]")
    plan = load_sweep(path, ["sweep.seeds=2"], grid)
    result = jaxopt_lab.sweep(plan, progress=False)
    groups = group_runs([run.config for run in plan.runs], read)
    assert len(groups) == 1, "numbers alone differ, and one program serves them all"
    for i in (0, 3, 6):
        alone = jaxopt_lab.train(plan.runs[i].config, progress=False)
        ours = result.runs[i]
        for name in ("loss", "val_loss", "learning_rate", "step", "eval_step"):
            # One matrix product over all runs sums in another order than that of one run.
            np.testing.assert_allclose(
                ours.history[name], alone.history[name], rtol=2e-4, atol=1e-6, err_msg=name
            )
        np.testing.assert_allclose(ours.test["loss"], alone.test["loss"], rtol=2e-4)
        assert ours.stopped_by == alone.stopped_by == "finished"


def test_lengths_and_patience_are_traced_too(path):
    sets = [
        'schedule=[{name="warmup", steps=4}, {name="cosine_decay"}]',
        'control=[{name = "early_stopping", patience = 1}]',
        "train.epochs=12",
    ]
    grid = ("schedule.0.steps=[3, '50%']", "control.0.patience=[1, 3]")
    plan = load_sweep(path, ["optimizer.learning_rate=0.2", *sets], grid)
    assert len(group_runs([run.config for run in plan.runs], read)) == 1
    result = jaxopt_lab.sweep(plan, progress=False)
    for run, record in zip(plan.runs, result.runs, strict=True):
        alone = jaxopt_lab.train(run.config, progress=False)
        assert (record.stopped_by, record.steps) == (alone.stopped_by, alone.summary["steps"])
        rates = alone.history["learning_rate"]
        np.testing.assert_allclose(record.history["learning_rate"], rates, rtol=1e-5, atol=1e-7)
    assert len({record.steps for record in result.runs}) > 1
    with pytest.raises(InputError, match="begins at step 1000, but the run ends at 108"):
        jaxopt_lab.sweep(load_sweep(path, sets, ["schedule.0.steps=[3, 1000]"]), progress=False)


@pytest.mark.parametrize(
    "table",
    [
        'optimizer.momentum={name = "cosine_decay", peak = 0.9, steps = "50%"}',
        'control=[{name = "sam", rho = {name = "cosine_decay", peak = 0.1, steps = "50%"}}]',
    ],
)
def test_a_schedule_in_the_place_of_a_number_is_part_of_the_program(path, table):
    plan = load_sweep(path, [table], ["optimizer.learning_rate=[0.01, 0.1]"])
    assert len(group_runs([run.config for run in plan.runs], read)) == 1
    result = jaxopt_lab.sweep(plan, progress=False)
    for run, record in zip(plan.runs, result.runs, strict=True):
        alone = jaxopt_lab.train(run.config, progress=False)
        # One matrix product over all runs sums in another order than that of one run.
        np.testing.assert_allclose(record.history["loss"], alone.history["loss"], rtol=2e-4)


def test_structure_parts_a_sweep_and_zip_pairs_its_axes(path):
    plan = load_sweep(
        path,
        ['sweep.zip=[["data.batch_size", "optimizer.learning_rate"]]'],
        [
            "data.batch_size=[64, 128]",
            "optimizer.learning_rate=[0.01, 0.02]",
            'optimizer.name=["sgd", "adam"]',
        ],
    )
    assert len(plan.runs) == 4
    assert [run.values["data.batch_size"] for run in plan.runs] == [64, 64, 128, 128]
    assert [run.values["optimizer.learning_rate"] for run in plan.runs] == [0.01, 0.01, 0.02, 0.02]
    groups = group_runs([run.config for run in plan.runs], read)
    assert [group.members for group in groups] == [(0,), (1,), (2,), (3,)]


def test_what_cannot_be_traced_is_structure(path):
    # The rate of dropout decides whether there is a layer at all.
    plan = load_sweep(path, [], ["model.dropout=[0.0, 0.5]", "optimizer.learning_rate=[0.1, 0.2]"])
    groups = group_runs([run.config for run in plan.runs], read)
    assert [group.members for group in groups] == [(0, 1), (2, 3)]


def test_a_run_that_diverges_costs_its_neighbors_nothing(path, tmp_path):
    grid = "optimizer.learning_rate=[0.05, 1e30]"
    result = sweep(path, grid, run_dir=tmp_path / "run")
    alone = sweep(path, "optimizer.learning_rate=[0.05]")
    assert [run.stopped_by for run in result.runs] == ["finished", "diverged"]
    assert result.best == 0
    np.testing.assert_allclose(result.runs[0].history["loss"], alone.runs[0].history["loss"], 1e-5)
    rows = (tmp_path / "run" / "sweep.csv").read_text().splitlines()
    assert len(rows) == 3
    for line in (tmp_path / "run" / "runs.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_early_stopping_is_each_run_s_own(path):
    sets = ['control=[{name = "early_stopping", patience = 1}]', "train.epochs=8"]
    plan = load_sweep(path, sets, ["optimizer.learning_rate=[0.02, 3.0]"])
    result = jaxopt_lab.sweep(plan, progress=False)
    for run, record in zip(plan.runs, result.runs, strict=True):
        alone = jaxopt_lab.train(run.config, progress=False)
        assert (record.stopped_by, record.steps) == (alone.stopped_by, alone.summary["steps"])
        np.testing.assert_allclose(record.test["loss"], alone.test["loss"], rtol=1e-3)
        # What runs are compared by is of the parameters that they keep.
        assert record.kept_step == alone.summary["kept_step"]
        assert record.metrics["val_loss"] == record.history["val_loss"].min()
    assert result.runs[1].steps < result.runs[0].steps


def two_settings(monitor):
    """Run 0 has the best value of all; the mean of runs 2 and 3 is better than its setting's."""
    tables = {
        "data": {"name": "digits"},
        "model": {"name": "mlp"},
        "optimizer": {"name": "sgd", "learning_rate": 1.0},
        "train": {"steps": 3},
        "sweep": {"seeds": 2, "optimizer.learning_rate": [0.1, 0.2]},
    }
    plan, sign = parse_sweep(tables), 1 if monitor == "val_loss" else -1
    curves = [[0.0, 0.1], [0.4, 0.8], [0.9, 0.3], [0.2, 0.3]]
    records = [
        RunRecord(
            run.values, "finished", 2, {monitor: sign * last}, {}, {"loss": last}, kept_step=2
        )
        for run, (_, last) in zip(plan.runs, curves, strict=True)
    ]
    return plan, records, sign


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_one_best_in_the_bar_the_table_the_report_and_the_file(monitor, tmp_path, capsys):
    plan, records, sign = two_settings(monitor)
    settings = tuple(ranked(plan, records, monitor))
    assert [s.runs for s in settings] == [(2, 3), (0, 1)]
    np.testing.assert_allclose([s.mean for s in settings], [sign * 0.3, sign * 0.45])
    result = SweepResult(tuple(records), monitor, settings, None, "finished", 1.0)
    assert result.best == 2
    _, rows = ranking(plan.axes, result)
    assert rows[0][0] == "2-3" and rows[0][2].startswith(f"{sign * 0.3:.2g}")
    folder = SweepFolder(tmp_path)
    folder.plots.mkdir()
    write_sweep_report(folder, plan, result)
    table = list(csv.DictReader(folder.table.read_text().splitlines()))
    assert [row["rank"] for row in table] == ["2", "2", "1", "1"]
    assert table[0]["kept_step"] == "2"
    page = folder.report.read_text()
    assert f"<dt>best mean {monitor}, runs 2-3</dt><dd>{sign * 0.3:.4g}</dd>" in page
    with Progress().sweeping(10, monitor) as bar:
        bar._done = 10
        bar.end(settings)
    assert f"best mean {monitor} {sign * 0.3:.4g}" in capsys.readouterr().out


def test_what_has_not_ended_or_has_diverged_ranks_last():
    plan, records, _ = two_settings("val_loss")
    assert [s.runs for s in ranked(plan, [*records[:2], records[2], None], "val_loss")] == [
        (0, 1),
        (2,),
    ]
    lost = [records[0]._replace(stopped_by="diverged"), *records[1:]]
    found = ranked(plan, lost, "val_loss")
    assert [s.runs for s in found] == [(2, 3), (0, 1)] and np.isnan(found[1].mean)
    every = [record._replace(stopped_by="diverged") for record in records]
    settings = tuple(ranked(plan, every, "val_loss"))
    assert SweepResult(tuple(every), "val_loss", settings, None, "finished", 1.0).best is None


def test_metrics_are_those_of_the_parameters_of_a_step():
    columns = {
        "step": np.arange(1, 5),
        "loss": np.array([9.0, 8.0, 7.0, 6.0]),
        "eval_step": np.array([2, 4]),
        "val_loss": np.array([0.5, 0.7]),
    }
    # The loss of a row was measured before its step: that of step 3 at the parameters after 2.
    assert metrics_at(columns, 2) == {"loss": 7.0, "val_loss": 0.5}
    assert metrics_at(columns, 4) == {"loss": 6.0, "val_loss": 0.7}
    assert metrics_at(columns, 1) == {"loss": 8.0, "val_loss": 0.5}


def test_mapped_and_vectorized_agree(path):
    grid = "optimizer.learning_rate=[0.01, 0.1]"
    one, other = (sweep(path, grid, sets=[f"sweep.vectorize={how}"]) for how in ("vmap", "map"))
    for a, b in zip(one.runs, other.runs, strict=True):
        np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=2e-4)


def test_halving_trains_the_best_to_the_end_and_the_rest_less(path, tmp_path):
    grid = "optimizer.learning_rate={log = [1e-4, 1.0], n = 9}"
    result = sweep(path, grid, sets=["sweep.halving=3", "train.steps=27"], run_dir=tmp_path / "run")
    steps = sorted(run.steps for run in result.runs)
    assert steps == [3] * 6 + [9] * 2 + [27]
    whole = sweep(path, grid, sets=["train.steps=27"])
    last = next(i for i, run in enumerate(result.runs) if run.steps == 27)
    np.testing.assert_allclose(
        result.runs[last].history["loss"], whole.runs[last].history["loss"], rtol=2e-4
    )
    assert (tmp_path / "run" / "report.html").exists()


def test_bootstrap_members_differ_and_predict_together(path):
    sets = ["sweep.bootstrap=true", "sweep.seeds=3"]
    plan = load_sweep(path, sets)
    result = jaxopt_lab.sweep(plan, progress=False)
    alone = jaxopt_lab.train(plan.runs[1].config, progress=False)
    np.testing.assert_allclose(result.runs[1].history["loss"], alone.history["loss"], rtol=2e-4)
    members = result.members()
    assert all(len(leaf) == 3 for leaf in jax.tree.leaves(members))
    experiment = build(plan.runs[0].config)
    x = experiment.forward.normalize(experiment.test["x"])
    mean = ensemble_predict(experiment.forward.model.apply, members, x)
    accuracy = np.mean(np.argmax(mean, -1) == experiment.test["y"])
    assert accuracy >= max(run.test["accuracy"] for run in result.runs) - 0.02


def test_random_search_draws_its_budget(path):
    text = ["sweep.samples=20"]
    plan = load_sweep(path, text, ["optimizer.learning_rate={log = [1e-3, 1e-1]}"])
    rates = np.array([run.values["optimizer.learning_rate"] for run in plan.runs])
    assert len(rates) == 20 and rates.min() >= 1e-3 and rates.max() <= 1e-1
    assert len(set(rates)) == 20
    again = load_sweep(path, text, ["optimizer.learning_rate={log = [1e-3, 1e-1]}"])
    assert [run.values for run in again.runs] == [run.values for run in plan.runs]


def test_goes_on_where_it_was_killed(path, tmp_path, monkeypatch):
    grid = ('optimizer.name=["sgd", "adam"]',)
    whole = sweep(path, *grid)
    folder = tmp_path / "run"
    code = (
        "import os, signal, jaxopt_lab\n"
        "from jaxopt_lab.run.records.sweep_folder import SweepFolder\n"
        "from jaxopt_lab.config.sweep import load_sweep\n"
        "add = SweepFolder.add\n"
        "def dying(self, records):\n"
        "    add(self, records)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "SweepFolder.add = dying\n"
        f"jaxopt_lab.sweep(load_sweep({str(path)!r}, (), {grid!r}), {str(folder)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    before = (folder / "runs.jsonl").read_bytes()
    assert len(before.splitlines()) == 1
    result = jaxopt_lab.sweep(None, folder, resume=True, progress=False)
    after = (folder / "runs.jsonl").read_bytes()
    assert after.startswith(before) and len(after.splitlines()) == 2
    for ours, theirs in zip(result.runs, whole.runs, strict=True):
        np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-6)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            ours.params,
            theirs.params,
        )


def test_runs_under_way_go_on_where_they_were(path, tmp_path, monkeypatch):
    grid, folder = "optimizer.learning_rate=[0.02, 0.1]", tmp_path / "run"
    sets = ["train.steps=24", "train.evaluate_every=8"]
    whole = sweep(path, grid, sets=sets)
    monkeypatch.setattr("jaxopt_lab.run.commands.rungs.SAVE_SECONDS", 0.0)
    save = SweepFolder.save_progress

    def dying(self, wave, step, *rest):
        save(self, wave, step, *rest)
        if step >= 16:
            raise OSError("the disk is full")

    monkeypatch.setattr(SweepFolder, "save_progress", dying)
    with pytest.raises(OSError, match="full"):
        sweep(path, grid, sets=sets, run_dir=folder)
    monkeypatch.setattr(SweepFolder, "save_progress", save)
    result = jaxopt_lab.sweep(None, folder, resume=True, progress=False)
    assert not (folder / "progress").exists()
    for ours, theirs in zip(result.runs, whole.runs, strict=True):
        for name, column in theirs.history.items():
            np.testing.assert_allclose(ours.history[name], column, rtol=1e-5, err_msg=name)
        assert ours.test == pytest.approx(theirs.test, rel=1e-5)


def test_runs_that_are_trained_are_not_lost_before_they_are_written_down(
    path, tmp_path, monkeypatch, capsys
):
    grid, folder = "optimizer.learning_rate=[0.02, 0.1]", tmp_path / "run"
    whole = sweep(path, grid)
    monkeypatch.setattr("jaxopt_lab.run.commands.rungs.SAVE_SECONDS", 0.0)

    def dying(self, wave):
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Population, "finish", dying)
        with pytest.raises(OSError, match="gone"):
            sweep(path, grid, run_dir=folder)
    with monkeypatch.context() as patch:
        patch.setattr(SweepFolder, "clear_progress", lambda *_: None)  # as if killed before it
        jaxopt_lab.sweep(None, folder, resume=True)
    assert "2 runs go on from step 27" in capsys.readouterr().out
    result = jaxopt_lab.sweep(None, folder, resume=True, progress=False)
    assert not (folder / "progress").exists()
    for ours, theirs in zip(result.runs, whole.runs, strict=True):
        assert ours.test == pytest.approx(theirs.test, rel=1e-5)


class KilledError(BaseException):
    """As a kill: nothing of the sweep is done after it."""


@pytest.mark.parametrize(
    ("owner", "method", "call"),
    [
        (Rungs, "_begin", 2),  # at the second wave of the first rung
        (SweepFolder, "add", 1),  # between two rungs, before the worse runs are written down
        (SweepFolder, "clear_progress", 1),  # after it
        (Rungs, "_begin", 4),  # and once the saves of the first rung are gone
    ],
)
def test_a_sweep_that_halves_is_not_trained_again_after_a_kill(
    path, tmp_path, monkeypatch, capsys, owner, method, call
):
    sets = ["sweep.halving=2", "train.steps=16", "train.evaluate_every=4"]
    grid, folder = "optimizer.learning_rate=[0.01, 0.02, 0.05, 0.1, 1e30]", tmp_path / "run"
    monkeypatch.setattr("jaxopt_lab.sweeps._population.run_bytes", lambda state, batch: 2**20)
    monkeypatch.setattr("jaxopt_lab.sweeps.placement.free_bytes", lambda device: 5 * 2**19)
    trained, advance = [], Population.advance

    def counted(self, state, start, count):
        if state.runs != (4,):  # it diverges within its first chunk, as long as the clock makes it
            trained.append(count * len(state.runs))
        return advance(self, state, start, count)

    monkeypatch.setattr(Population, "advance", counted)
    whole = sweep(path, grid, sets=sets, devices=1)  # in waves of 2, 2 and 1; then of 2; of 1
    steps, trained[:] = sum(trained), []
    real, calls = getattr(owner, method), []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KilledError
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, dying)
        with pytest.raises(KilledError):
            sweep(path, grid, sets=sets, run_dir=folder, devices=1)
    result = jaxopt_lab.sweep(None, folder, resume=True, devices=1)
    assert sum(trained) == steps, "each step of each run once"
    assert "go on from step 4" in capsys.readouterr().out
    assert not (folder / "progress").exists()
    assert [r.stopped_by for r in result.runs] == [r.stopped_by for r in whole.runs]
    assert result.runs[4].stopped_by == "diverged" and result.best == whole.best
    for ours, theirs in zip(result.runs, whole.runs, strict=True):
        np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-5)


def test_what_had_diverged_when_it_was_interrupted_is_not_finished_later(path, tmp_path):
    """The interrupt comes after the last step of a wave, so that nothing is left to train."""
    grid, folder = "optimizer.learning_rate=[0.05, 1e30]", tmp_path / "run"

    def interrupted(self, chunk, best):
        if chunk.end == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SweepBar, "update", interrupted)
        first = sweep(path, grid, sets=["train.steps=2"], run_dir=folder)
    assert first.stopped_by == "interrupted" and first.runs == (None, None)
    result = jaxopt_lab.sweep(None, folder, resume=True, progress=False)
    assert [run.stopped_by for run in result.runs] == ["finished", "diverged"]


@pytest.mark.parametrize(
    ("sets", "grid", "message"),
    [
        ([], [], "nothing to sweep over"),
        ([], ["optimizer.learnin_rate=[1.0]"], "did you mean 'learning_rate'"),
        ([], ["optimizer.learning_rate=[]"], "empty"),
        ([], ["optimizer.learning_rate={log = [0, 1], n = 4}"], "log = \\[low > 0"),
        ([], ["optimizer.learning_rate={log = [1, 2], n = 0}"], "n = 16"),
        ([], ["optimizer.learning_rate=[-1.0, 1.0]"], "must be > 0, got -1.0"),
        ([], ["learning_rate=[1.0]"], "expected table.key=values"),
        (["sweep.seed=3"], [], "did you mean 'seeds'"),
        (["sweep.seeds=0"], [], "must be >= 1"),
        (["sweep.halving=1", "sweep.seeds=4"], [], "must be >= 2"),
        (["sweep.samples=5"], ["optimizer.learning_rate={log = [1, 2], n = 4}"], "samples"),
        (["sweep.zip=[['data.seed', 'x']]"], ["data.batch_size=[64]"], "is no axis"),
    ],
)
def test_says_what_is_wrong(path, sets, grid, message):
    with pytest.raises(InputError, match=message):
        load_sweep(path, sets, grid)


def test_says_what_is_wrong_with_the_devices_and_the_monitor(path):
    with pytest.raises(InputError, match="1000 devices are asked for, there"):
        sweep(path, "optimizer.learning_rate=[0.1]", devices=1000)
    with pytest.raises(InputError, match="'val_los' is not measured, did you mean 'val_loss'"):
        sweep(path, "optimizer.learning_rate=[0.1]", sets=["sweep.monitor=val_los"])
    with pytest.raises(InputError, match="has \\[sweep\\]; run it with: jaxopt-lab sweep"):
        jaxopt_lab.load_config(path, ["sweep.seeds=2"])


def test_waves_that_fit_the_memory_change_nothing(path, monkeypatch):
    sets, grid = ["sweep.halving=2"], "optimizer.learning_rate={log = [1e-2, 1.0], n = 5}"
    whole = sweep(path, grid, sets=sets, devices=1)
    monkeypatch.setattr("jaxopt_lab.sweeps._population.run_bytes", lambda state, batch: 2**20)
    monkeypatch.setattr("jaxopt_lab.sweeps.placement.free_bytes", lambda device: 5 * 2**19)
    waves = sweep(path, grid, sets=sets, devices=1)  # of 2, 2 and 1
    monkeypatch.setattr("jaxopt_lab.sweeps.placement.free_bytes", lambda device: 2**19)
    single = sweep(path, grid, sets=sets, devices=1)  # the estimate is rough: it is tried
    for a, b, c in zip(whole.runs, waves.runs, single.runs, strict=True):
        # One matrix product over all runs sums in another order than that of two.
        np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=2e-4)
        np.testing.assert_allclose(a.history["loss"], c.history["loss"], rtol=2e-4)
    assert whole.best == waves.best == single.best
    monkeypatch.setattr("jaxopt_lab.engine.needs.machine_memory", lambda: 2**10)
    with pytest.raises(InputError, match=r"memory: training needs at least .* there is 1 KiB"):
        sweep(path, grid)


def test_eight_devices_change_nothing(path):
    """Padded to the devices and dealt to them, in a process that has eight."""
    run_file(__file__, path, devices=8)


def _on_eight_devices(path):
    assert jax.device_count() == 8
    grid = "optimizer.learning_rate={log = [1e-2, 1.0], n = 11}"
    many = sweep(path, grid)
    one = sweep(path, grid, devices=1)
    mapped = sweep(path, grid, sets=["sweep.vectorize=map"])
    for a, b, c in zip(many.runs, one.runs, mapped.runs, strict=True):
        np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=2e-4)
        np.testing.assert_allclose(a.history["loss"], c.history["loss"], rtol=2e-4)


if __name__ == "__main__":
    _on_eight_devices(sys.argv[1])
