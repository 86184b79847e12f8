"""Runs side by side, in a list, and without the checkpoints that nobody goes on from."""

import json
import shutil

import numpy as np
import pytest
from scipy.stats import sem, ttest_rel

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import lock
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.commands.compare import compare
from jaxopt_lab.run.commands.prune import find_prunable, prune
from jaxopt_lab.run.commands.runs import list_runs
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import seal, unseal

RATES, SEEDS = (0.01, 0.1), (0, 1, 2)


def config(rate, seed):
    return parse_config(
        {
            "seed": seed,
            "data": {"name": "digits", "train_size": 64, "batch_size": 32},
            "model": {"name": "mlp", "hidden": [4]},
            "optimizer": {"name": "sgd", "learning_rate": rate},
            "train": {"steps": 6, "checkpoint_every": 2},
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """rate-0.01-0 and on, of two rates and three seeds, of which 0.1 lacks the last.

    One is trained, and the others are it with other numbers in their files.
    """
    root = tmp_path_factory.mktemp("a folder with spaces")
    first, draw = root / "rate-0.1-0", np.random.default_rng(0)
    jaxopt_lab.train(config(0.1, 0), first, progress=False)
    for rate in RATES:
        for seed in SEEDS[: 3 if rate == RATES[0] else 2]:
            folder = root / f"rate-{rate}-{seed}"
            if folder == first:
                continue
            shutil.copytree(first, folder)
            (folder / "config.toml").write_text(to_toml(config(rate, seed)))
            summary = json.loads((folder / "summary.json").read_text())
            summary["test"] = {name: float(draw.random()) for name in summary["test"]}
            (folder / "summary.json").write_text(json.dumps(summary))
            RunFolder(folder).seal_end()
            seal(folder, {"config.toml": None})
    return root


@pytest.fixture
def runs(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def losses(root, rate):
    files = sorted(root.glob(f"rate-{rate}-*/summary.json"))
    return np.array([json.loads(file.read_text())["test"]["loss"] for file in files])


def test_means_and_paired_differences_are_those_of_scipy(trained):
    found = compare(sorted(trained.iterdir()))
    low, high = found.settings
    assert [run.seed for run in low.runs] == [0, 1, 2] and len(high.runs) == 2
    a, b = losses(trained, RATES[0]), losses(trained, RATES[1])
    mean = low.mean("loss")
    # float64 sums of three numbers
    np.testing.assert_allclose(mean, (a.mean(), sem(a), 3), rtol=1e-12)
    apart = high.minus(low, "loss")
    np.testing.assert_allclose(apart, (np.mean(b - a[:2]), sem(b - a[:2]), 2), rtol=1e-12)
    assert apart.value / apart.error == pytest.approx(ttest_rel(b, a[:2]).statistic)
    assert found.differences == ["optimizer.learning_rate"]
    assert found.values()[1] == [["optimizer.learning_rate", "0.01", "0.1"]]
    assert found.scores[0] == "accuracy" and found.scores[-1] == "val_accuracy"
    assert json.dumps(found.as_json(), allow_nan=False)


def test_a_seed_that_was_trained_again_is_no_other_draw(runs, tmp_path):
    path = runs / "rate-0.1-0"
    shutil.copytree(path, tmp_path / "again")
    found = compare([path, tmp_path / "again", *runs.glob("rate-0.01-*")])
    assert found.settings[0].mean("loss").count == 1 and found.table()[1][0][1] == "1"


def test_a_curve_has_a_point_a_row_and_epochs_below(trained):
    found = compare(sorted(trained.iterdir()))
    figures = found.figures()
    assert set(figures) == {"loss", "val_loss", "val_accuracy", "learning_rate"}
    lines = figures["loss"].axes[0].lines
    assert len(lines) == 5 + 2  # each run, and a mean a setting
    np.testing.assert_allclose(lines[0].get_xdata(), np.arange(1, 7) / 2)


def test_the_command_writes_a_page_and_nothing_over_it(runs, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = ["compare", *map(str, sorted(runs.iterdir()))]
    assert cli.main(given) == 0
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("data:image/png") == 4 and "Differences to A, seed by seed" in page
    assert "learning_rate = 0.1" in capsys.readouterr().out
    assert cli.main(given) == 2
    assert "exists: give another --output, or --force" in capsys.readouterr().err
    assert cli.main([*given, "--force"]) == 0
    assert cli.main([*given, "--json"]) == 0


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    first, second, *_ = sorted(runs.iterdir())
    with pytest.raises(InputError, match="two runs or more, got 1"):
        compare([first])
    with pytest.raises(InputError, match="is given twice"):
        compare([first, first.parent / "." / first.name])
    with pytest.raises(InputError, match="holds neither a run nor a sweep"):
        compare([first, tmp_path])
    (second / "config.toml").write_text("seed = ")
    with pytest.raises(InputError, match="damaged"):
        compare([first, second])
    (second / "config.toml").unlink()
    (second / "sweep.toml").write_text("seed = 0")
    with pytest.raises(InputError, match="is a sweep"):
        compare([first, second])


def test_a_run_that_has_not_ended_has_curves_and_no_scores(runs):
    first, second, *_ = sorted(runs.iterdir())
    unseal(second, ["summary.json"])
    (second / "summary.json").unlink()
    found = compare([first, second])
    assert found.settings[0].mean("loss").count == 1
    assert "not ended" in found.listed()[1][1]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ((), 5),
        (("optimizer.learning_rate=0.1",), 2),
        (("optimizer.learning_rate<0.05", "seed>=1"), 2),
        (("optimizer.name!=sgd",), 0),
        (("state=finished", 'name="rate-0.1-1"'), 1),
        (("test.accuracy<=1",), 5),
        (("optimizer.name<3",), 0),
    ],
)
def test_runs_are_those_of_which_all_is_true(trained, where, count):
    assert len(list_runs(trained, where=where)) == count


def test_runs_are_sorted_the_best_first(trained):
    scores = [run.test["accuracy"] for run in list_runs(trained, sort="score")]
    assert scores == sorted(scores, reverse=True)
    rates = [
        run.values["optimizer.learning_rate"]
        for run in list_runs(trained, sort="optimizer.learning_rate")
    ]
    assert rates == [0.01] * 3 + [0.1] * 2
    with pytest.raises(InputError, match=r"'optimizer.nam', did you mean 'optimizer.name'\?"):
        list_runs(trained, where=["optimizer.nam=sgd"])
    with pytest.raises(InputError, match="expected KEY=VALUE"):
        list_runs(trained, where=["sgd"])
    with pytest.raises(InputError, match="no run here has a value 'scor', did you mean 'score'"):
        list_runs(trained, sort="scor")
    with pytest.raises(InputError, match="is no folder"):
        list_runs(trained / "nothing")


def test_states_are_read_from_the_folder(runs, capsys):
    first, second, third, *_ = sorted(runs.iterdir())
    unseal(first, ["summary.json"])
    (first / "summary.json").unlink()
    (second / "summary.json").write_text("{")
    with open(third / ".lock", "a") as file:
        assert lock(file)
        states = {run.path: run.state for run in list_runs(runs)}
        assert cli.main(["prune", str(runs), "--keep", "best", "--yes"]) == 0
        assert checkpoint.steps(third / "checkpoints") == [6, 4]
    assert [states[path] for path in (first, second, third)] == ["not ended", "damaged", "running"]
    assert cli.main(["runs", str(runs)]) == 0
    assert "not ended" in capsys.readouterr().out
    assert cli.main(["runs", str(runs), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 5


@pytest.mark.parametrize(("keep", "left"), [("best", []), ("last", [6]), (1, [6]), (2, [6, 4])])
def test_prune_keeps_what_is_asked_and_the_run_can_be_read(runs, keep, left):
    path = runs / "rate-0.1-0"
    before = jaxopt_lab.load_run(path).params
    prune(find_prunable(runs, keep))
    assert checkpoint.steps(path / "checkpoints") == left
    after = jaxopt_lab.load_run(path).params
    np.testing.assert_array_equal(before["Dense_0"]["kernel"], after["Dense_0"]["kernel"])


def test_prune_never_takes_the_last_whole_checkpoint_of_a_run_that_has_not_ended(runs):
    path = runs / "rate-0.1-0"
    unseal(path, ["summary.json"])
    (path / "summary.json").unlink()  # what it kept may be there: it is killed before its summary
    newest = path / "checkpoints" / "step-00000006.npz"
    newest.write_bytes(newest.read_bytes()[:-20])
    prune(find_prunable(path, "best"))
    assert checkpoint.steps(path / "checkpoints") == [4]


def test_prune_asks_first(runs, capsys):
    assert cli.main(["prune", str(runs), "--keep", "last"]) == 2
    assert "nobody is there to ask" in capsys.readouterr().err
    assert cli.main(["prune", str(runs), "--keep", "most"]) == 2
    assert "must be best, last or a number >= 1, got most" in capsys.readouterr().err
    assert checkpoint.steps(runs / "rate-0.1-0" / "checkpoints") == [6, 4]
