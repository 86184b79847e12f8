"""What a notebook shows of what comes out: verdict, table and curves, names escaped."""

import importlib.util
import re

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.data import digits
from jaxopt_lab.run.commands.find_lr import find_lr
from jaxopt_lab.run.records.seal import unseal

RUN = {
    "data": {"name": "digits", "train_size": 200},
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"epochs": 2},
}


@pytest.fixture(scope="module", name="shown")
def _shown(tmp_path_factory):
    """An object of each kind, by what its title says."""
    folder = tmp_path_factory.mktemp("<b>runs")
    cycles = {"schedule": {"name": "sgdr", "cycle": 2}, "control": "snapshots"}
    config = jaxopt_lab.Config.of(**RUN, **cycles)
    result = jaxopt_lab.train(config, folder / "a", progress=False)
    other = jaxopt_lab.Config.of(**RUN, seed=1)
    jaxopt_lab.train(other, folder / "b", progress=False)
    plan = folder / "sweep.toml"
    plan.write_text(
        other.to_toml() + '\n[sweep]\nseeds = 2\n"optimizer.learning_rate" = [0.001, 0.01]\n'
    )
    swept = jaxopt_lab.sweep(plan, folder / "s", progress=False)
    return {
        "Result of digits / mlp / adam": result,
        "Run of digits / mlp / adam": jaxopt_lab.load_run(folder / "a"),
        "Run of digits / mlp / adam ": swept.run(),
        "Ensemble of digits / mlp / adam": result.run.ensemble(),
        "Ensemble of digits / mlp / adam ": swept.ensemble(2),
        "Sweep over optimizer.learning_rate": swept,
        "2 runs compared": jaxopt_lab.compare([folder / "a", folder / "b"]),
        "Config of digits / mlp / adam": config,
    }


TITLES = (
    "Result of digits / mlp / adam",
    "Run of digits / mlp / adam",
    "Run of digits / mlp / adam ",
    "Ensemble of digits / mlp / adam",
    "Ensemble of digits / mlp / adam ",
    "Sweep over optimizer.learning_rate",
    "2 runs compared",
    "Config of digits / mlp / adam",
)


@pytest.mark.parametrize("title", TITLES)
def test_each_has_its_title_and_a_short_repr(shown, title):
    one, html = shown[title], shown[title]._repr_html_()
    assert f'<div class="title">{title.strip()}</div>' in html
    assert "<b>runs" not in html and not re.search("<script|https?:", html)
    assert len(html) < 1_500_000
    text = repr(one)
    assert len(text) < 600 and len(text.splitlines()) <= 5 and "array" not in text


def test_a_run_shows_its_verdict_its_numbers_and_its_curves(shown):
    result = shown["Result of digits / mlp / adam"]
    html = result._repr_html_()
    assert result.summary["fit"]["sentence"] in html
    assert f"{result.test['accuracy']:.2%}" in html and "Finished after" in html
    assert re.findall(r'alt="([^"]*)"', html) == [
        *("loss curve", "accuracy curve", "learning rate curve"),
    ]
    assert f"{result.test['accuracy']:.2%}" in repr(result)
    assert result._fields == (
        *("params", "model_state", "history", "test", "run_dir", "stopped_by", "summary", "run"),
    )


def test_a_sweep_shows_its_settings_and_its_best(shown):
    swept = shown["Sweep over optimizer.learning_rate"]
    html = swept._repr_html_()
    assert f"{swept.settings[0].mean:.4g}" in html and f"{swept.settings[0].mean:.4g}" in repr(
        swept
    )
    assert html.count("<tr>") == 1 + len(swept.settings)
    assert swept.axes == ["optimizer.learning_rate"]
    assert 'alt="run curves"' in html and "array" not in repr(swept.runs[0])


def test_a_comparison_shows_what_differs(shown):
    compared = shown["2 runs compared"]
    html = compared._repr_html_()
    assert compared.verdict.split(";")[0] in html and 'alt="val loss"' in html
    assert "<td>control</td>" in html or "control" in html


def test_a_configuration_is_its_file_in_colors(shown):
    config = shown["Config of digits / mlp / adam"]
    (inside,) = re.findall("<pre>(.*)</pre>", config._repr_html_(), re.DOTALL)
    plain = re.sub("<[^>]*>", "", inside).replace("&quot;", '"').replace("&#x27;", "'")
    assert plain == config.to_toml().strip()
    assert inside.count("font-weight") == len(re.findall(r"(?m)^\[", plain))


def test_without_matplotlib_there_is_the_table(shown, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else there(name)
    )
    for title in TITLES[:3] + TITLES[5:7]:
        html = shown[title]._repr_html_()
        assert "<img" not in html and "<table>" in html


def test_runs_that_have_not_ended_or_measured_anything(tmp_path):
    config = jaxopt_lab.Config.of(
        **RUN | {"data": {"name": "digits", "validation": 0.0}, "train": {"steps": 3}}
    )
    result = jaxopt_lab.train(config, tmp_path / "a", progress=False)
    assert "<img" in result._repr_html_()
    run = jaxopt_lab.load_run(tmp_path / "a", step=3)
    assert "not" in repr(run) or "step 3" in repr(run)
    (tmp_path / "a" / "summary.json").unlink()
    unseal(tmp_path / "a", ["summary.json"])
    assert "parameters" in jaxopt_lab.load_run(tmp_path / "a")._repr_html_()


def test_names_of_ones_own_that_are_gone():
    def narrow(outputs: int):
        raise NotImplementedError(outputs)

    with jaxopt_lab.extended({"model": [narrow]}):
        config = jaxopt_lab.Config.of(**RUN | {"model": "narrow"})
        assert "[model]" in config._repr_html_()
    assert "extended(...)" in config._repr_html_() and "narrow" in repr(config)


def test_predictions_are_told_and_not_printed(shown):
    run = shown["Run of digits / mlp / adam"]
    found = run.predict(digits().test["x"])
    assert repr(found).startswith("<Prediction of 360 samples, 10 classes: ")
    assert len(repr(found)) < 100
    assert isinstance(found.outputs, np.ndarray)


def test_a_range_test_shows_its_suggestions():
    found = find_lr(jaxopt_lab.Config.of(**RUN), steps=60, seeds=2, progress=False)
    suggested = f"valley {found.valley:.3g}, steepest {found.steepest:.3g}"
    assert repr(found) == f"<RangeTest of 60 rates, 2 seeds: {suggested}>"
    assert found._repr_html_().count("<img") == 1
    nothing = found._replace(valley=np.nan, steepest=np.nan)
    assert "does not fall" in repr(nothing) and "does not fall" in nothing._repr_html_()
