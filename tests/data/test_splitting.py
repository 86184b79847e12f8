"""Splits: disjoint, complete, by class and by group, the same from the same seed."""

import numpy as np
import pytest

from jaxopt_lab import data
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.data import splitting
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.splitting import draw, split

DRAWS = np.random.default_rng(0)
COUNT = 200
CLASSES = DRAWS.choice(3, COUNT, p=[0.7, 0.2, 0.1]).astype(np.int32)
GROUPS = DRAWS.integers(0, 40, COUNT)
X = np.arange(COUNT, dtype=np.float32)[:, None]


def dataset(**fields):
    """A data set whose x is the number of its row."""
    arrays = {"x": X, "y": CLASSES}
    fields = {"train": arrays, "classes": ("a", "b", "c"), "ordered": True} | fields
    return Dataset(**fields)


def rows(part):
    return np.asarray(part["x"])[:, 0].astype(int)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("validation", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("test", [None, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_parts_are_disjoint_and_complete(grouped, validation, test, seed):
    group = {"group": GROUPS} if grouped else {}
    found = split(
        dataset(train={"x": X, "y": CLASSES, **group}), test=test, validation=validation, seed=seed
    )
    parts = [rows(p) for p in (found.train, found.validation, found.test) if p is not None]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(COUNT))
    for part in (found.train, found.test):
        assert part.keys() == {"x", "y"}
        np.testing.assert_array_equal(part["y"], CLASSES[rows(part)])
    if grouped:
        sides = [set(GROUPS[part]) for part in parts]
        assert sum(map(len, sides)) == len(set.union(*sides))
    near = 0.1 if grouped else 0.005
    assert abs(len(rows(found.test)) / COUNT - (test or splitting.TEST_SHARE)) <= near
    assert found.record["test"] == sorted(rows(found.test).tolist())
    again = split(dataset(train={"x": X, "y": CLASSES, **group}), test=test, seed=seed)
    np.testing.assert_array_equal(rows(again.test), rows(found.test))
    other = split(dataset(train={"x": X, "y": CLASSES, **group}), test=test, seed=seed + 2)
    assert set(rows(other.test)) != set(rows(found.test))


@pytest.mark.parametrize("text", [False, True])
def test_classes_keep_their_shares(text):
    """With groups too, as well as groups allow; they may be numbers or text."""
    groups = np.array([f"patient {g}" for g in GROUPS]) if text else GROUPS
    for of_group in (None, groups):
        _, held = draw(COUNT, 0.25, 0, "test", CLASSES, of_group)
        away = np.bincount(CLASSES[held], minlength=3) - 0.25 * np.bincount(CLASSES)
        assert np.abs(away).max() < (1 if of_group is None else 4)


def test_a_class_of_one_row_is_trained_on():
    labels = np.array([0] * 9 + [1] + [2] * 9 + [3])
    for seed in range(20):
        rest, _ = draw(20, 0.5, seed, labels=labels)
        assert {1, 3} <= set(labels[rest])
    with pytest.raises(ArgumentError, match="the only one of its class"):
        draw(4, 0.5, 0, labels=np.arange(4))


def test_validation_of_published_data_is_the_permutation_that_it_always_was():
    digits = data.digits()
    found = split(digits, validation=0.15)
    order, held = np.random.default_rng(0).permutation(1437), round(0.15 * 1437)
    np.testing.assert_array_equal(found.validation["x"], digits.train["x"][order[:held]])
    np.testing.assert_array_equal(found.train["y"], digits.train["y"][order[held:]])
    assert found.test["x"] is digits.test["x"]
    assert found.record["test"] == "given"
    whole = split(digits, train_size=100)
    np.testing.assert_array_equal(whole.train["x"], digits.train["x"][:100])


def test_rows_of_a_folder_are_shuffled_before_some_are_left_out():
    ordered = np.sort(CLASSES)
    test = {"x": X[:3], "y": CLASSES[:3]}
    found = split(dataset(train={"x": X, "y": ordered}, test=test), train_size=60)
    assert set(found.train["y"]) == {0, 1, 2}


def test_names_are_kept_with_the_split():
    names = tuple(f"{i}.png" for i in range(COUNT))
    found = split(dataset(train_names=names), validation=0.1)
    assert found.record["validation"] == [names[i] for i in sorted(rows(found.validation))]
    given = dataset(test={"x": X[:2], "y": CLASSES[:2]}, test_names=("t/0.png", "t/1.png"))
    assert split(given).record == {"test": ["t/0.png", "t/1.png"], "validation": []}


@pytest.mark.parametrize("lazy", [False, True])
def test_mapped_arrays_are_not_read(tmp_path, monkeypatch, lazy):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(splitting, "IN_MEMORY", 0 if lazy else 1 << 20)
    found = split(dataset(train={"x": mapped, "y": CLASSES}), validation=0.2, train_size=50)
    expected = split(dataset(), validation=0.2, train_size=50)
    for part, own in zip(found[:3], expected[:3], strict=True):
        assert is_lazy(part["x"]) == lazy and not is_lazy(part["y"])
        np.testing.assert_array_equal(np.asarray(part["x"]), own["x"])


@pytest.mark.parametrize("fill", ["mean", "median", -1.0])
def test_what_is_missing_is_filled_by_the_rows_that_are_trained_on(fill):
    x = DRAWS.normal(size=(COUNT, 3)).astype(np.float32)
    x[DRAWS.random(x.shape) < 0.2] = np.nan
    found = split(dataset(train={"x": x, "y": CLASSES}, fill=fill), validation=0.2)
    raw = split(dataset(train={"x": x, "y": CLASSES}), validation=0.2)
    for column in range(3):
        known = [v for v in raw.train["x"][:, column].tolist() if v == v]
        value = {"mean": sum(known) / len(known), "median": sorted(known)[len(known) // 2]}
        if fill == "median" and len(known) % 2 == 0:
            value["median"] = (value["median"] + sorted(known)[len(known) // 2 - 1]) / 2
        assert found.fill[column] == pytest.approx(value.get(fill, fill), rel=1e-6)
    for part, own in zip(found[:3], raw[:3], strict=True):
        expected = own["x"].copy()
        for column in range(3):
            expected[np.isnan(expected[:, column]), column] = found.fill[column]
        np.testing.assert_array_equal(part["x"], expected)
        assert part["x"].dtype == np.float32


def test_a_column_without_a_number_is_named():
    x = np.stack([X[:, 0], np.full(COUNT, np.nan, np.float32)], 1)
    columns = ({"name": "a", "kind": "number"}, {"name": "b", "kind": "number"})
    with pytest.raises(InputError, match="column 'b' has no value"):
        split(dataset(train={"x": x, "y": CLASSES}, fill="mean", columns=columns))


@pytest.mark.parametrize(
    ("how", "name", "text"),
    [
        ({"test": 0.999}, "test", "leaves none to train on"),
        ({"validation": 0.999}, "validation", "0.999 of 170 samples leaves none"),
        ({"train_size": 171}, "train_size", "171 is more than the 170"),
    ],
)
def test_shares_that_do_not_fit_are_told(how, name, text):
    with pytest.raises(ArgumentError) as caught:
        split(dataset(), **how)
    assert text in caught.value.faults[name]


def test_a_share_of_data_that_has_a_test_split_is_refused():
    given = dataset(test={"x": X[:2], "y": CLASSES[:2]})
    with pytest.raises(ArgumentError, match="this has one: leave it out"):
        split(given, test=0.1)


def test_one_group_cannot_be_parted_and_two_large_ones_can():
    with pytest.raises(ArgumentError, match="all 200 rows are of one group, 'p'"):
        split(dataset(train={"x": X, "y": CLASSES, "group": np.array(["p"] * COUNT)}))
    halves = np.repeat(["p", "q"], [150, 50])
    found = split(dataset(train={"x": X, "y": CLASSES, "group": halves}))
    (note,) = found.notes
    assert note == "test is 25.0% of the rows, 15.0% was asked for: no group is parted"
    assert not split(dataset(train={"x": X, "y": CLASSES, "group": GROUPS}), test=0.25).notes
    np.testing.assert_array_equal(np.sort(rows(found.test)), np.arange(150, 200))
