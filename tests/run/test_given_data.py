"""Data given from Python: trained on, recorded, and asked for again."""

import json

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data import digits
from jaxopt_lab.run.commands.evaluate import evaluate_runs
from jaxopt_lab.run.commands.find_lr import find_lr

TABLES = {
    "data": {"name": "mnist", "batch_size": 64, "train_size": 256},
    "model": {"name": "linear"},
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "train": {"steps": 6},
}
DIGITS = digits()
DATA = (*DIGITS.train.values(), *DIGITS.test.values())


class Source:
    """Pairs, read one by one."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split["y"])

    def __getitem__(self, i):
        return self.split["x"][i], self.split["y"][i]


FORMS = {
    "dataset": DIGITS,
    "splits": {"train": DIGITS.train, "test": DIGITS.test},
    "sources": {"train": Source(DIGITS.train), "test": Source(DIGITS.test)},
}


@pytest.fixture(scope="module", name="named")
def _named(tmp_path_factory):
    """A run of the data set by its name, and its folder."""
    config = parse_config(TABLES | {"data": {**TABLES["data"], "name": "digits"}})
    folder = tmp_path_factory.mktemp("named")
    return jaxopt_lab.train(config, folder, progress=False), folder


@pytest.fixture(scope="module", name="given")
def _given(tmp_path_factory):
    """A run of the same as arrays, and its folder."""
    folder = tmp_path_factory.mktemp("given")
    return jaxopt_lab.train(parse_config(TABLES), folder, data=DATA, progress=False), folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_as_the_named_one(form, named):
    found = jaxopt_lab.train(parse_config(TABLES), data=FORMS[form], progress=False)
    np.testing.assert_array_equal(found.history["loss"], named[0].history["loss"])
    assert found.test == named[0].test


def test_a_test_split_is_drawn_where_none_is_given():
    x, y = DIGITS.train["x"], DIGITS.train["y"]
    source = read(parse_config(TABLES), data=(x, y))
    assert source.test is not None and len(source.test["y"]) == round(0.15 * len(y))


def test_a_run_says_that_its_data_was_given_and_asks_for_it(given, named):
    first, folder = given
    np.testing.assert_array_equal(first.history["loss"], named[0].history["loss"])
    assert json.loads((folder / "signature.json").read_text())["origin"] == "python"
    missing = "made with data given from Python, which it does not hold: give it again, data="
    for look in (
        lambda: jaxopt_lab.train(None, folder, resume=True, progress=False),
        lambda: evaluate_runs([folder]),
        lambda: jaxopt_lab.diagnose(folder),
    ):
        with pytest.raises(InputError, match=missing):
            look()
    again = jaxopt_lab.train(None, folder, resume=True, data=DATA, progress=False)
    assert again.test == first.test
    assert jaxopt_lab.load_run(folder).signature.origin == "python"
    scores = evaluate_runs([folder], data=DATA)[str(folder)]
    assert scores["accuracy"] == pytest.approx(first.test["accuracy"])
    other = (DATA[0][::-1] // 2, *DATA[1:])
    with pytest.raises(InputError, match="was trained on other data"):
        jaxopt_lab.train(None, folder, resume=True, data=other, progress=False)


def test_a_run_of_a_named_data_set_is_evaluated_on_what_is_given(named):
    first, folder = named
    x, y = DIGITS.test["x"], DIGITS.test["y"]
    whole = evaluate_runs([folder], data=(x, y))[str(folder)]
    assert whole["accuracy"] == pytest.approx(first.test["accuracy"])
    some = np.isin(y, [3, 7])  # the classes keep their numbers
    run = jaxopt_lab.load_run(folder)
    hits = np.asarray(run.apply(x[some])).argmax(-1) == y[some]
    scores = evaluate_runs([folder], data=(x[some], y[some]))[str(folder)]
    assert scores["accuracy"] == pytest.approx(hits.mean())
    with pytest.raises(InputError, match=r"leave out data=\.\.\."):
        jaxopt_lab.train(None, folder, resume=True, data=DATA, progress=False)


@pytest.mark.slow
def test_evaluation_and_diagnoses_are_of_what_is_given(named, given):
    folder = named[1]
    found = evaluate_runs([folder], data=(DIGITS.test["x"], DIGITS.test["y"]))
    assert found == evaluate_runs([folder])
    assert jaxopt_lab.diagnose(given[1], data=DATA)


@pytest.mark.slow
def test_sweeps_and_range_tests_take_it(tmp_path):
    plan = parse_sweep(TABLES | {"sweep": {"seeds": 2}})
    result = jaxopt_lab.sweep(plan, tmp_path, data=DATA, progress=False)
    assert result.runs[0] is not None
    with pytest.raises(InputError, match="data given from Python"):
        jaxopt_lab.sweep(None, tmp_path, resume=True, progress=False)
    with pytest.raises(InputError, match="data given from Python"):
        jaxopt_lab.diagnose(tmp_path, member=0)
    jaxopt_lab.sweep(None, tmp_path, resume=True, data=DATA, progress=False)
    jaxopt_lab.diagnose(tmp_path, member=0, data=DATA)
    find_lr(parse_config(TABLES), steps=10, seeds=1, data=DATA)


def test_data_of_ones_own_by_name():
    def mine(size: int = 300):
        return tuple(part[:size] for part in DATA)

    with jaxopt_lab.extended({"data": [mine]}):
        tables = TABLES | {"data": {"name": "mine", "batch_size": 64, "validation": 0.0}}
        assert len(build(parse_config(tables)).train["y"]) == 300
        wrong = {"data": {"name": "mine", "train_size": 1000, "validation": 0.0}}
        with pytest.raises(InputError, match="more than the 300 training samples"):
            jaxopt_lab.train(parse_config(TABLES | wrong), progress=False)
    with jaxopt_lab.extended({"data": {"mine": lambda: 3}}):
        tables = TABLES | {"data": {"name": "mine"}}
        with pytest.raises(InputError, match=r"data: mine: data: got an object of builtins\.int"):
            jaxopt_lab.train(parse_config(tables), progress=False)
