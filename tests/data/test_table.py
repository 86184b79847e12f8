"""Tables of one's own: the numbers are those of a plain loop, and a fault is told by its line."""

import csv
import datetime
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import datasets

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.encoding import encode
from jaxopt_lab.data.feature_names import feature_names
from jaxopt_lab.data.splitting import split
from jaxopt_lab.data.tables import find_columns, read_columns

ROWS = [
    {"age": 31, "height": 1.5, "sex": "m", "smokes": True, "site": 10, "y": "well", "who": "a"},
    {"age": 45, "height": 1.75, "sex": "f", "smokes": False, "site": 9, "y": "ill", "who": "a"},
    {"age": 27, "height": 2.0, "sex": "m", "smokes": False, "site": 9, "y": "ill", "who": "b"},
    {"age": 62, "height": 1.25, "sex": "x, y", "smokes": True, "site": 2, "y": "well", "who": "c"},
]


def text_of(rows, separator=","):
    """CSV with every text in quotes that needs them."""

    def cell(value):
        if value is None or isinstance(value, bool):
            return "" if value is None else str(value).lower()
        return f'"{value}"' if separator in str(value) or "\n" in str(value) else str(value)

    lines = [separator.join(map(cell, row)) for row in (rows[0], *(r.values() for r in rows))]
    return "\n".join(lines) + "\n"


def save(path, rows, separator=","):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(text_of(rows, separator))
    return str(path)


@pytest.fixture(name="save")
def _save(tmp_path):
    return lambda rows, name="a.csv", separator=",": save(tmp_path / name, rows, separator)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_a_table_becomes_what_a_plain_loop_makes_of_it(save, name):
    path = save(ROWS, name, "\t" if name == "a.tsv" else ",")
    found = data.table(path, target="y", categories=["site"], group="who")
    names = ("age", "height", "sex=f", "sex=m", "sex=x, y", "smokes", "site=2", "site=9", "site=10")
    assert feature_names(found.columns) == names
    expected = [
        [
            row["age"],
            row["height"],
            *(float(row["sex"] == v) for v in ("f", "m", "x, y")),
            float(row["smokes"]),
            *(float(row["site"] == v) for v in (2, 9, 10)),
        ]
        for row in ROWS
    ]
    np.testing.assert_array_equal(found.train["x"], np.array(expected, np.float32))
    assert found.train["x"].dtype == np.float32 and found.train["x"].flags.c_contiguous
    assert found.classes == ("ill", "well")
    np.testing.assert_array_equal(found.train["y"], [1, 0, 0, 1])
    np.testing.assert_array_equal(found.train["group"], list("aabc"))
    assert found.test is None and data.targets_of(found) == "classes"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_of_scikit_learn_as_pandas_would_read_it(save, kind):
    for load, target, wanted in (
        (datasets.load_breast_cancer, "class", "classes"),
        (datasets.load_diabetes, "progress", "numbers"),
    ):
        own = load()
        names = [str(name) for name in own.feature_names]
        rows = [
            {**dict(zip(names, x.tolist(), strict=True)), target: y}
            for x, y in zip(own.data, own.target.tolist(), strict=True)
        ]
        path = save(rows, f"{target}.{kind}")
        found = data.table(path, target=target)
        assert data.targets_of(found) == wanted
        assert feature_names(found.columns) == tuple(names)
        if kind == "csv":
            with open(path, newline="") as file:
                x = [[float(row[name]) for name in names] for row in csv.DictReader(file)]
            np.testing.assert_array_equal(found.train["x"], np.array(x).astype(np.float32))
        np.testing.assert_array_equal(found.train["x"], own.data.astype(np.float32))
        np.testing.assert_array_equal(found.train["y"], own.target)


@pytest.mark.parametrize(
    ("values", "target_is", "targets", "classes"),
    [
        ([3, 1, 10, 1], "auto", "classes", ("1", "3", "10")),
        ([3, 1, 10, 1], "numbers", "numbers", ()),
        ([True, False, False, True], "auto", "classes", ("false", "true")),
        (["c10", "c2", "c2", "c10"], "auto", "classes", ("c2", "c10")),
        ([0.0, 1.0, 1.0, 0.0], "auto", "numbers", ()),
        ([0.0, 1.0, 1.0, 0.0], "classes", "classes", ("0", "1")),
        ([0.5, 1.0, 1.0, 0.0], "auto", "numbers", ()),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_what_a_target_is(save, name, values, target_is, targets, classes):
    if name == "a.csv" and values[0] == 0.0:
        values = [f"{value:.1f}" for value in values]
    path = save([{"a": i, "y": y} for i, y in enumerate(values)], name)
    found = data.table(path, target="y", target_is=target_is)
    assert (data.targets_of(found), found.classes) == (targets, classes)
    if targets == "numbers":
        np.testing.assert_array_equal(found.train["y"], np.array(values, np.float32))
    assert "target 'y'" in found.notes[0]


def test_many_whole_numbers_are_numbers_and_several_targets_are_labels_or_numbers(save):
    many = [{"a": i, "y": i, "p": i % 2, "q": i % 3 == 0} for i in range(30)]
    assert data.targets_of(data.table(save(many), target="y")) == "numbers"
    found = data.table(save(many), target=["p", "q"])
    assert (data.targets_of(found), found.classes) == ("labels", ("p", "q"))
    np.testing.assert_array_equal(found.train["y"], [[i % 2, i % 3 == 0] for i in range(30)])
    assert feature_names(found.columns) == ("a", "y")
    for how in ({"target": ["p", "q"], "target_is": "numbers"}, {"target": ["p", "y"]}):
        found = data.table(save(many), **how)
        assert data.targets_of(found) == "numbers" and found.train["y"].shape == (30, 2)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_test_table_goes_by_names(save, name):
    path = save(ROWS, name)
    other = [dict(reversed(row.items())) for row in ROWS[1:3]]
    found = data.table(path, target="y", drop=["who"], test_path=save(other, f"test_{name}"))
    np.testing.assert_array_equal(found.test["x"], found.train["x"][1:3])
    np.testing.assert_array_equal(found.test["y"], found.train["y"][1:3])
    for change, text in (
        ({"sex": "other"}, r"column 'sex' holds 'other' on (line 2|row 0), which training has not"),
        ({"y": "dead"}, "the class 'dead', at row 0"),
    ):
        wrong = save([ROWS[0] | change, *ROWS[1:]], f"test_{name}")
        with pytest.raises(InputError, match=text):
            data.table(path, target="y", drop=["who"], test_path=wrong)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("missing", ["mean", "median", 7])
def test_what_is_missing_is_filled_after_the_split(save, name, missing):
    rows = [ROWS[i % 4] | {"age": i % 50 if i % 3 else None} for i in range(60)]
    with pytest.raises(InputError, match=r"'age' has no value on (line 2|row 0): .*missing ="):
        data.table(save(rows, name), target="y", drop=["who"])
    rows[1]["sex"] = None
    path = save(rows, name)
    found = data.table(path, target="y", drop=["who"], missing=missing)
    column = found.train["x"][:, 0]
    np.testing.assert_array_equal(np.isnan(column), [i % 3 == 0 for i in range(60)])
    assert not found.train["x"][1, 2:5].any()
    parts = split(found)
    rows_of = np.array(sorted(set(range(60)) - set(parts.record["test"])))
    known = [i % 50 for i in rows_of.tolist() if i % 3]
    expected = {"mean": sum(known) / len(known), "median": np.median(known)}.get(missing, missing)
    assert parts.fill[0] == pytest.approx(expected, rel=1e-6)
    for part in (parts.train, parts.test):
        assert np.isfinite(part["x"]).all()


def test_rows_can_be_encoded_again(save):
    """By what JSON keeps of the columns."""
    import json

    path = save(ROWS)
    found = data.table(path, target="y", categories=["site"])
    columns = json.loads(json.dumps(found.columns))
    source = find_columns(path)
    rows = read_columns(source, [c["name"] for c in columns], ["sex", "site", "who"])
    np.testing.assert_array_equal(encode(columns, rows, source, missing=False), found.train["x"])


def test_separators_points_quotes_and_encodings(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a;"b;c";y\n1,5;"u;v";1\n2,5;"w\nz";0\n')
    found = data.table(str(path), target="y", separator=";", decimal=",")
    assert feature_names(found.columns) == ("a", "b;c=u;v", "b;c=w\nz")
    np.testing.assert_array_equal(found.train["x"], [[1.5, 1, 0], [2.5, 0, 1]])
    with pytest.raises(InputError, match=r"is one column, .* separator = ';'"):
        data.table(str(path), target="y")
    expected = None
    for content in (
        "größe,y\n1,é\n2,à\n".encode(),
        "\ufeffgröße,y\n1,é\n2,à\n".encode(),
        "größe,y\r\n1,é\r\n2,à\r\n".encode(),
        "größe,y\n1,é\n2,à\n".encode("latin-1"),
    ):
        path.write_bytes(content)
        found = data.table(str(path), target="y")
        now = (feature_names(found.columns), found.classes, found.train["x"].tolist())
        expected = expected or (("größe",), ("à", "é"), [[1], [2]])
        assert now == expected
    assert "latin-1" in found.notes[-1]


def test_weights_and_chosen_columns(save):
    rows = [{**row, "w": i} for i, row in enumerate(ROWS)]
    found = data.table(save(rows), target="y", columns=["height", "age"], weight="w")
    assert feature_names(found.columns) == ("height", "age")
    np.testing.assert_array_equal(found.train["weight"], [0, 1, 2, 3])
    np.testing.assert_array_equal(found.train["x"], [[r["height"], r["age"]] for r in ROWS])


def test_large_whole_numbers_are_told(save):
    found = data.table(save([{"id": 10**9 + i, "y": i % 2} for i in range(4)]), target="y")
    assert "rounded: id" in found.notes[-1]


WRONG_TEXT = {
    "ragged, short": ("a,b,y\n1,2,3\n\n4,5\n", "line 4 has 2 values, the header names 3"),
    "ragged, long": ('a,b,y\n1,"2\n2",3\n4,5,6,7\n', "line 4 has 4 values, the header names 3"),
    "empty": ("", "empty; its first line must name the columns"),
    "no rows": ("a,b,y\n", "holds no rows"),
    "twice": ("a,a,y\n1,2,3\n", "two columns are called 'a'"),
    "no name": (",a,y\n0,1,2\n", "column 1 has no name"),
    "no target": ("a,yy\n1,2\n", "target: there is no column 'y', did you mean 'yy'?"),
    "only a target": ("y\n1\n2\n", "no columns are left"),
    "missing": ("a,y\n1,2\n\nNA,1\n", "column 'a' has no value on line 4"),
    "missing text": ("a,y\nu,2\n,1\n", "column 'a' has no value on line 3"),
    "missing target": ("a,y\n1,2\n1,\n", "column 'y' has no value on line 3"),
    "infinite": ("a,y\n1,2\n1,1\ninf,1\n", "column 'a' holds a number that is infinite"),
    "too large": ("a,y\n1,2\n1e300,1\n", "infinite, or beyond float32, on line 3"),
    "infinite target": ("a,y\n1,2.5\n1,-inf\n", "the target 'y' is -inf on line 3"),
    "among numbers": ("a,y\n1,2\n2,1\n?,1\n", "column 'a' holds '?' among numbers, on line 4"),
    "date": ("a,y\n2020-01-01,2\n2020-01-02,1\n", "drop = ['a'], or make numbers of it"),
    "time": ("a,y\n10:30:00,2\n10:31:00,1\n", "column 'a' holds time32"),
    "one class": ("a,y\n1,u\n2,u\n", "one class only, 'u'"),
    "date target": ("a,y\n1,2020-01-01\n2,2020-01-02\n", "the target 'y' holds date32"),
    "many texts": (
        "a,y\n" + "".join(f"text {i},{i % 2}\n" for i in range(1001)),
        "holds 1,001 different texts",
    ),
}


@pytest.mark.parametrize("name", WRONG_TEXT)
def test_each_fault_of_a_text_is_told(tmp_path, name):
    content, text = WRONG_TEXT[name]
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        data.table(str(tmp_path / "a.csv"), target="y")
    assert text in str(caught.value) and str(tmp_path / "a.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_ARGUMENTS = {
    "case": ({"target": "AGE"}, "there is no column 'AGE', did you mean 'age'"),
    "no column": ({"columns": ["agee"]}, "columns: there is no column 'agee', did you mean 'age'"),
    "no drop": ({"drop": ["z"]}, "drop: there is no column 'z'"),
    "no group": ({"group": "z"}, "weight or group: there is no column 'z'"),
    "both": ({"columns": ["age", "y"]}, "'y' is among columns, and elsewhere too"),
    "numbers": ({"target_is": "numbers"}, "'y' holds text, expected numbers"),
    "word": ({"missing": "means"}, "did you mean 'mean'"),
    "infinite": ({"missing": math.inf}, "or a finite number, got inf"),
    "separator": ({"separator": ",,"}, "must be one character"),
    "weight": ({"weight": "sex"}, "column 'sex' must be (N,) numbers"),
    "targets": ({"target": []}, "target names no column"),
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_each_wrong_argument_is_told(save, name):
    how, text = WRONG_ARGUMENTS[name]
    with pytest.raises(InputError) as caught:
        data.table(save(ROWS), **{"target": "y", **how})
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[1], [2]], "holds list<"),
        ([b"a", b"b"], "holds binary"),
        ([datetime.date(2020, 1, 1)] * 2, "holds date32"),
        ([float("nan"), 1.0], "column 'a' has no value on row 0"),
        ([1.0, -math.inf], "infinite, or beyond float32, on row 1"),
    ],
)
def test_each_fault_of_parquet_is_told(save, values, text):
    path = save([{"a": value, "y": i} for i, value in enumerate(values)], "a.parquet")
    with pytest.raises(InputError) as caught:
        data.table(path, target="y")
    assert text in str(caught.value)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    for name, text in {
        "a.parquet": "no Parquet file, or damaged",
        "none.csv": "no such file",
        "a.xlsx": "a table is read from .csv",
    }.items():
        with pytest.raises(InputError, match=text):
            data.table(str(tmp_path / name), target="y")


@pytest.mark.parametrize("values", ["dictionary", "decimal", "large_string", "int8", "float16"])
def test_other_types_of_arrow(tmp_path, values):
    column = {
        "dictionary": pa.array(["u", "v", "u"]).dictionary_encode(),
        "decimal": pa.array([1, 2, 3]).cast(pa.decimal128(20, 1)),
        "large_string": pa.array(["u", "v", "u"], pa.large_string()),
        "int8": pa.array([1, 2, 3], pa.int8()),
        "float16": pa.array(np.array([1, 2, 3], np.float16)),
    }[values]
    pq.write_table(pa.table({"a": column, "y": [0, 1, 1]}), tmp_path / "a.parquet")
    found = data.table(str(tmp_path / "a.parquet"), target="y").train["x"]
    text = values in ("dictionary", "large_string")
    expected = [[1, 0], [0, 1], [1, 0]] if text else [[1], [2], [3]]
    np.testing.assert_array_equal(found, expected)
