"""Data given from Python: trained on, recorded, and asked for again."""

import json

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
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
    "splits": {"train": DIGITS.train, "test": DIGITS.test},
    "sources": {"train": Source(DIGITS.train), "test": Source(DIGITS.test)},
}


def train(data):
    return jaxopt_lab.train(parse_config(TABLES), data=data, progress=False)


def test_a_data_set_trains_as_the_named_one():
    named = parse_config(TABLES | {"data": {**TABLES["data"], "name": "digits"}})
    found, wanted = train(DIGITS), jaxopt_lab.train(named, progress=False)
    np.testing.assert_array_equal(found.history["loss"], wanted.history["loss"])
    assert found.test == wanted.test


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_alike(form):
    found, wanted = train(FORMS[form]), train(DATA)
    np.testing.assert_array_equal(found.history["loss"], wanted.history["loss"])
    assert found.test == wanted.test


def test_a_test_split_is_drawn_where_none_is_given():
    x, y = DIGITS.train["x"], DIGITS.train["y"]
    result = jaxopt_lab.train(parse_config(TABLES), data=(x, y), progress=False)
    assert 0.1 < result.test["accuracy"] <= 1


def test_a_run_says_that_its_data_was_given_and_asks_for_it(tmp_path):
    config, folder = parse_config(TABLES), tmp_path / "run"
    first = jaxopt_lab.train(config, folder, data=DATA, progress=False)
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
    jaxopt_lab.diagnose(folder, data=DATA)
    other = (DATA[0][::-1] // 2, *DATA[1:])
    with pytest.raises(InputError, match="was trained on other data"):
        jaxopt_lab.train(None, folder, resume=True, data=other, progress=False)


def test_a_run_of_a_named_data_set_is_evaluated_on_what_is_given(tmp_path):
    tables = TABLES | {"data": {**TABLES["data"], "name": "digits"}}
    jaxopt_lab.train(parse_config(tables), tmp_path, progress=False)
    own = evaluate_runs([tmp_path])[str(tmp_path)]
    x, y = DIGITS.test["x"], DIGITS.test["y"]
    assert evaluate_runs([tmp_path], data=(x, y))[str(tmp_path)] == own
    some = np.isin(y, [3, 7])  # the classes keep their numbers
    run = jaxopt_lab.load_run(tmp_path)
    hits = np.asarray(run.apply(x[some])).argmax(-1) == y[some]
    scores = evaluate_runs([tmp_path], data=(x[some], y[some]))[str(tmp_path)]
    assert scores["accuracy"] == pytest.approx(hits.mean())
    with pytest.raises(InputError, match=r"leave out data=\.\.\."):
        jaxopt_lab.train(None, tmp_path, resume=True, data=DATA, progress=False)


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
        tables = TABLES | {"data": {"name": "mine", "batch_size": 64}}
        jaxopt_lab.train(parse_config(tables), progress=False)
        wrong = {"data": {"name": "mine", "train_size": 1000, "validation": 0.0}}
        with pytest.raises(InputError, match="more than the 300 training samples"):
            jaxopt_lab.train(parse_config(TABLES | wrong), progress=False)
    with jaxopt_lab.extended({"data": {"mine": lambda: 3}}):
        tables = TABLES | {"data": {"name": "mine"}}
        with pytest.raises(InputError, match=r"data: mine: data: got an object of builtins\.int"):
            jaxopt_lab.train(parse_config(tables), progress=False)
