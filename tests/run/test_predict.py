"""`jaxopt-lab predict`: whatever holds samples goes in, and each row says where it came from."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data import digits
from jaxopt_lab.run.process.own_module import own_module
from jaxopt_lab.run.records.seal import unseal

BASE = {
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"steps": 3, "evaluation_batch_size": 10},
}
CLASSES = ['+b, "c"', "=a", "d"]  # in natural order
RANDOM = np.random.default_rng(0)


def predicted(capsys, *arguments, code=0):
    """The rows that the command prints, and what it says beside."""
    assert main(["predict", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err


@pytest.fixture(scope="module", name="images")
def _images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for split, count in (("train", 6), ("test", 4)):
        for name in CLASSES:
            (folder / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = RANDOM.integers(0, 256, (9 + i, 12, 3), np.uint8)
                PIL.Image.fromarray(pixels).save(folder / "data" / split / name / f"{i}.png")
    source = {"name": "image_folder", "path": str(folder / "data"), "size": 8, "resize": "pad"}
    config = parse_config(BASE | {"data": source | {"batch_size": 6}})
    jaxopt_lab.train(config, folder / "run", progress=False)
    return folder, config


def test_a_folder_of_classes_is_what_the_test_split_was(images, capsys):
    folder, config = images
    run, test = jaxopt_lab.load_run(folder / "run"), read(config).test
    wanted = run.predict(test["x"])
    rows, said = predicted(capsys, folder / "run", folder / "data" / "test", "--top", 5)
    assert list(rows[0]) == [
        "input", "row", "class", "probability", "class_2", "probability_2", "class_3",
        "probability_3", "true",
    ]  # fmt: skip
    safe = {name: f"'{name}" if name[0] in "=+" else name for name in CLASSES}
    assert [row["class"] for row in rows] == [safe[name] for name in wanted.names]
    assert [row["true"] for row in rows] == [safe[CLASSES[y]] for y in test["y"]]
    found = np.array([row["probability"] for row in rows], np.float32)
    np.testing.assert_array_equal(found, wanted.probabilities.max(-1))
    for row in rows:
        assert os.path.isfile(row["input"]) and row["row"] == ""
        assert sum(float(row[f"probability{k}"]) for k in ("", "_2", "_3")) == pytest.approx(1)
    score = run.summary["test"]["accuracy"]
    assert f"accuracy {score:.2%}" in said and f"loss {run.summary['test']['loss']:.4f}" in said
    lines, _ = predicted(capsys, folder / "run", folder / "data/test/d/0.png", folder / "data/test")
    assert len(lines) == 13 and lines[0]["true"] == "" and lines[0]["input"].endswith("d/0.png")


def test_lines_of_json_and_files_of_output(images, capsys, tmp_path):
    folder, _ = images
    test, target = folder / "data" / "test", tmp_path / "out.jsonl"
    arguments = [folder / "run", test, "--output", target]
    assert predicted(capsys, *arguments)[0] == []
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    table, _ = predicted(capsys, folder / "run", test)
    assert [row["true"] for row in rows] == [n for n in CLASSES for _ in range(4)]
    assert [row["probability"] for row in rows] == [float(row["probability"]) for row in table]
    assert set(rows[0]) == {"input", "class", "probability", "top", "true"}
    _, said = predicted(capsys, *arguments, code=2)
    assert "is there already: give another, or --force" in said and len(rows) == 12
    predicted(capsys, *arguments, "--force", "--format", "csv", "--top", "2")
    assert target.read_text().startswith("input,row,class,probability,class_2")
    _, said = predicted(capsys, folder / "run", "--output", tmp_path, test, code=2)
    assert "is a folder" in said
    _, said = predicted(capsys, folder / "run", "--output", tmp_path / "no" / "a", test, code=2)
    assert "there is no folder" in said
    nothing = tmp_path / "empty.png"
    nothing.write_bytes(b"")
    _, said = predicted(capsys, folder / "run", nothing, "--output", tmp_path / "a.csv", code=2)
    assert "nothing could be read" in said and not (tmp_path / "a.csv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.png", "out.jsonl"]


def test_what_cannot_be_read_is_told_in_the_end(images, capsys, tmp_path):
    folder, _ = images
    (tmp_path / "sub").mkdir()
    PIL.Image.new("L", (5, 5), 200).save(tmp_path / "sub" / "2.png")
    PIL.Image.new("RGBA", (5, 5)).save(tmp_path / "10.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    (tmp_path / ".hidden").write_bytes(b"")
    rows, said = predicted(capsys, folder / "run", tmp_path, code=1)
    names = [os.path.relpath(row["input"], tmp_path) for row in rows]
    assert names == ["10.png", os.path.join("sub", "2.png")]
    assert f"1 inputs could not be read:\n{tmp_path / '3.png'}: no image" in said.replace(
        "\n ", " "
    )
    assert "accuracy" not in said
    _, said = predicted(capsys, folder / "run", tmp_path / "gone", code=2)
    assert "no such file or folder" in said
    _, said = predicted(capsys, tmp_path, folder / "data", code=2)
    assert "holds no run: there is no" in said
    _, said = predicted(capsys, folder / "run", folder / "data", "--top", 0, code=2)
    assert "top must be >= 1" in said
    _, said = predicted(capsys, folder / "run", folder / "data", "--ensemble", code=2)
    assert "took no snapshots" in said
    for option, message in (
        (["--member", "0"], "leave out member 0"),
        (["--member", "0", "--ensemble"], "leave one out"),
        (["--best", "2"], "goes with --ensemble"),
    ):
        _, said = predicted(capsys, folder / "run", *option, folder / "data", code=2)
        assert message in said
    at_end, _ = predicted(capsys, folder / "run", folder / "data", "--step", 3)
    assert at_end == predicted(capsys, folder / "run", folder / "data")[0]


@pytest.fixture(scope="module", name="arrays")
def _arrays(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    data = {"name": "digits", "batch_size": 32, "train_size": 64, "validation": 0.1}
    jaxopt_lab.train(parse_config(BASE | {"data": data}), folder / "run", progress=False)
    return folder / "run"


def test_arrays_have_numbers_of_rows_and_scores(arrays, capsys, tmp_path):
    run, test = jaxopt_lab.load_run(arrays), digits().test
    np.savez(tmp_path / "a.npz", x=test["x"], y=test["y"])
    np.save(tmp_path / "b.npy", test["x"][:25, ..., 0].astype(np.int64))
    np.save(tmp_path / "c.npy", (test["x"][:25] / np.float32(255)))
    rows, said = predicted(capsys, arrays, *(tmp_path / name for name in ("a.npz", "b.npy")))
    assert len(rows) == 385 and [int(r["row"]) for r in rows] == [*range(360), *range(25)]
    assert f"accuracy {run.summary['test']['accuracy']:.2%}" in said and "360 of 385" in said
    found = np.array([row["probability"] for row in rows], np.float32)
    wanted = run.predict(test["x"]).probabilities.max(-1)
    np.testing.assert_array_equal(found[:360], wanted)
    floats, _ = predicted(capsys, arrays, tmp_path / "c.npy")
    assert [row["class"] for row in floats] == [row["class"] for row in rows[360:]]
    wrong = {"x": np.zeros((3, 9, 8, 1), np.uint8)}, {"z": test["x"]}
    wrong += ({"x": test["x"], "y": test["y"][:4]}, {"x": test["x"] * 1.0})
    for members, message in zip(
        wrong, ("expected x of shape", "there is no x", "4 of y", "is not in [0, 1]"), strict=True
    ):
        np.savez(tmp_path / "wrong.npz", **members)
        _, said = predicted(capsys, arrays, tmp_path / "wrong.npz", code=2)
        assert message in said
    PIL.Image.fromarray(test["x"][0, ..., 0]).save(tmp_path / "8.png")
    PIL.Image.new("L", (9, 8)).save(tmp_path / "9.png")
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "c.png")
    images, said = predicted(
        capsys, arrays, *(tmp_path / n for n in ("8.png", "9.png", "c.png")), code=1
    )
    assert images[0]["class"] == rows[0]["class"]
    said = " ".join(said.split())
    assert "8 x 9 pixels, and the run was trained on 8 x 8" in said
    assert "an image in color, and the run was trained on gray" in said
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert "columns have no names" in predicted(capsys, arrays, tmp_path / "t.csv", code=2)[1]


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def test_standard_input(arrays, capsys, monkeypatch, tmp_path):
    test = digits().test
    np.savez(tmp_path / "a.npz", x=test["x"][:30])
    np.save(tmp_path / "a.npy", test["x"][:30])
    wanted = [row | {"input": "-"} for row in predicted(capsys, arrays, tmp_path / "a.npz")[0]]
    lines = [json.dumps(x.tolist()) for x in test["x"][:30]]
    objects = [json.dumps({"x": x.tolist()}) for x in test["x"][:30]]
    for data in (
        (tmp_path / "a.npz").read_bytes(),
        (tmp_path / "a.npy").read_bytes(),
        "\n".join(lines).encode(),
        "\r\n\n".join(objects).encode() + b"\n",
    ):
        stdin(monkeypatch, data)
        assert predicted(capsys, arrays, "-")[0] == wanted
    labelled = [json.dumps({"x": test["x"][i].tolist(), "y": int(test["y"][i])}) for i in range(4)]
    bad = ["{", "3", '"a"', "[[1], [2, 3]]", "[" * 2000, '{"y": 3}', json.dumps([[[300] * 8] * 8])]
    stdin(monkeypatch, "\n".join([*bad, *labelled]).encode())
    rows, said = predicted(capsys, arrays, "-", code=1)
    assert [row["row"] for row in rows] == ["7", "8", "9", "10"] and "7 inputs could not" in said
    assert [row["true"] for row in rows] == [str(y) for y in test["y"][:4]]
    stdin(monkeypatch, b"")
    assert "nothing could be read" in predicted(capsys, arrays, "-", code=2)[1]


ROWS = 60
TABLE = {
    "age": [float(i) if i % 7 else None for i in range(ROWS)],
    "sex": ["fm"[i % 2] for i in range(ROWS)],
    "on": [i % 5 == 0 for i in range(ROWS)],
    "room": [i % 3 for i in range(ROWS)],
    "left": list(range(ROWS)),
}
TARGETS = {
    "classes": {"ill": [["no", "yes"][i % 3 == 0] for i in range(ROWS)]},
    "labels": {"a": [i % 2 for i in range(ROWS)], "b": [i % 3 == 0 for i in range(ROWS)]},
    "number": {"y": [i / 7 for i in range(ROWS)]},
    "numbers": {"y": [i / 7 for i in range(ROWS)], "z": [-i / 3 for i in range(ROWS)]},
}


def table_run(folder, kind):
    names = list(TARGETS[kind])
    pyarrow.csv.write_csv(pa.table(TABLE | TARGETS[kind]), folder / "t.csv")
    data = {
        "name": "table",
        "path": str(folder / "t.csv"),
        "target": names if len(names) > 1 else names[0],
        "columns": ["age", "sex", "on", "room"],
        "categories": ["room"],
        "missing": "median",
        "batch_size": 8,
    }
    if kind == "labels":
        data["target_is"] = "auto"
    jaxopt_lab.train(parse_config(BASE | {"data": data}), folder / "run", progress=False)
    return jaxopt_lab.load_run(folder / "run"), folder


@pytest.fixture(scope="module", name="table")
def _table(tmp_path_factory):
    return table_run(tmp_path_factory.mktemp("table"), "classes")


def test_tables_by_name(table, capsys, monkeypatch):
    run, folder = table
    wanted = run.predict(TABLE)
    rows, said = predicted(capsys, folder / "run", folder / "t.csv")
    assert [row["class"] for row in rows] == wanted.names and len(rows) == ROWS
    assert [row["true"] for row in rows] == TARGETS["classes"][
        "ill"
    ] and f"({ROWS} of {ROWS}" in said
    found = np.array([row["probability"] for row in rows], np.float32)
    np.testing.assert_array_equal(found, wanted.probabilities.max(-1))
    # Columns in another order, others beside, no target, another format.
    other = pa.table({"z": TABLE["left"]} | dict(reversed(TABLE.items())))
    pyarrow.parquet.write_table(other, folder / "o.parquet")
    again, said = predicted(capsys, folder / "run", folder / "o.parquet")
    assert [row["probability"] for row in again] == [row["probability"] for row in rows]
    assert all(row["true"] == "" for row in again) and "accuracy" not in said
    every = TABLE | TARGETS["classes"]
    lines = [dict(zip(every, row, strict=True)) for row in zip(*every.values(), strict=True)]
    stdin(monkeypatch, "\n".join(map(json.dumps, lines)).encode())
    piped, _ = predicted(capsys, folder / "run", "-")
    assert piped == [row | {"input": "-"} for row in rows]


def test_rows_that_do_not_fit_are_left_out(table, capsys, monkeypatch):
    _, folder = table
    header = "ill,room,on,sex,age\n"
    (folder / "bad.csv").write_text(
        header
        + "".join(f"yes,{i % 3},true,f,{i}\n" for i in range(30))
        + "no,9,true,f,1\nno,1,true,m,old\n,2,false,m,\nyes,1,true,,3\nmaybe,0,false,m,1e3\n"
    )
    rows, said = predicted(capsys, folder / "run", folder / "bad.csv", code=1)
    assert [int(row["row"]) for row in rows] == [*range(30), 32, 33, 34]
    assert [row["true"] for row in rows[-3:]] == ["", "yes", ""]
    said = " ".join(said.split())
    assert "2 inputs could not be read" in said and "(31 of 33 rows" in said
    assert "column 'room' holds '9' on row 30, which training has not" in said
    assert "column 'age' holds 'old' on row 31, expected a number" in said
    for text, message in (
        ("age,sex,on\n1,f,true\n", "there is no column 'room'"),
        (header, "holds no rows"),
        (header + "yes,1\n", "line 2 has 2 values"),
        (header + "yes,9,true,f,1\n" * 30, "left there"),
    ):
        (folder / "wrong.csv").write_text(text)
        assert message in " ".join(
            predicted(capsys, folder / "run", folder / "wrong.csv", code=2)[1].split()
        )
    lines = [
        '{"age": 1, "sex": "f", "on": true}',
        '{"age": "x", "sex": "f", "on": true, "room": 1}',
    ]
    lines += ['{"age": 1, "sex": "f", "on": true, "room": "1", "more": [1]}']
    stdin(monkeypatch, "\n".join(lines).encode())
    rows, said = predicted(capsys, folder / "run", "-", code=1)
    assert [row["row"] for row in rows] == ["2"] and "holds string" in said
    assert "-: columns on row 0: there is no column 'room'" in said
    PIL.Image.new("L", (8, 8)).save(folder / "a.png")
    assert "is taken for images" in predicted(capsys, folder / "run", folder / "a.png", code=2)[1]


@pytest.mark.parametrize(
    "kind", ["labels", pytest.param("number", marks=pytest.mark.slow), "numbers"]
)
def test_other_targets(kind, capsys, tmp_path):
    run, folder = table_run(tmp_path, kind)
    wanted = run.predict(TABLE)
    rows, said = predicted(capsys, folder / "run", folder / "t.csv", "--top", 2)
    lines = [
        json.loads(line)
        for line in (
            main(["predict", str(folder / "run"), str(folder / "t.csv"), "--format", "jsonl"]),
            capsys.readouterr().out,
        )[1].splitlines()
    ]
    if kind == "labels":
        assert [json.loads(row["labels"]) for row in rows] == wanted.names
        assert [json.loads(row["true"]) for row in rows][:3] == [["b"], ["a"], []]
        assert lines[0]["labels"] == wanted.names[0] and "subset accuracy" in said
        best = np.array([row["probability"] for row in rows], np.float32)
        np.testing.assert_array_equal(best, wanted.probabilities.max(-1))
        return
    names = list(TARGETS[kind])
    heads = ["prediction"] if kind == "number" else [f"prediction_{name}" for name in names]
    found = np.array([[row[head] for head in heads] for row in rows], np.float32)
    np.testing.assert_array_equal(found, wanted.numbers.reshape(ROWS, -1))
    true = "true" if kind == "number" else "true_z"
    assert np.float32(rows[5][true]) == np.float32(TARGETS[kind][names[-1]][5])
    value = lines[5]["prediction"] if kind == "number" else lines[5]["prediction"]["z"]
    assert np.float32(value) == found[5, -1] and "loss" in said


def test_an_autoencoder_is_scored_by_its_inputs(capsys, tmp_path):
    data = {"name": "digits", "batch_size": 32, "train_size": 64, "reconstruct": True}
    config = BASE | {"data": data, "model": {"name": "autoencoder", "hidden": [8], "code": 4}}
    config["model"] = {"name": "mlp", "hidden": [8]}
    result = jaxopt_lab.train(parse_config(config), tmp_path / "run", progress=False)
    np.save(tmp_path / "x.npy", digits().test["x"])
    rows, said = predicted(capsys, tmp_path / "run", tmp_path / "x.npy")
    assert list(rows[0])[2:] == [f"prediction_{i}" for i in range(64)]
    assert f"loss {result.test['loss']:.4f} (360 of 360" in said


def test_a_reader_that_has_seen_enough(arrays, tmp_path):
    np.save(tmp_path / "x.npy", np.repeat(digits().test["x"], 30, 0))
    command = [sys.executable, "-m", "jaxopt_lab.cli", "predict", arrays, tmp_path / "x.npy"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"input,row,class,probability,class_2,")
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 0
    assert "Traceback" not in said and "Broken" not in said


def test_it_is_called_from_python(arrays):
    from jaxopt_lab.run.commands.predict import predict_files

    run = jaxopt_lab.load_run(arrays)
    with pytest.raises(InputError, match="there is no standard input here"):
        predict_files(run, ["-"], lambda data: None)


OWN = """
import flax.linen as nn


class Tiny(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs)(x.reshape(x.shape[0], -1))


EXTEND = {"model": [Tiny]}
"""


def test_a_run_of_ones_own_names(capsys, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    np.save(tmp_path / "x.npy", digits().test["x"][:5])
    with own_module(tmp_path / "mine.py"):
        config = BASE | {"model": {"name": "Tiny"}}
        config["data"] = {"name": "digits", "batch_size": 32, "train_size": 64}
        result = jaxopt_lab.train(parse_config(config), tmp_path / "run", progress=False)
    _, said = predicted(capsys, tmp_path / "run", tmp_path / "x.npy", code=2)
    assert "model 'Tiny'" in said and "--module" in said
    module = ["--module", tmp_path / "mine.py"]
    rows, _ = predicted(capsys, tmp_path / "run", tmp_path / "x.npy", *module)
    assert [row["class"] for row in rows] == result.run.predict(digits().test["x"][:5]).names
    command = ["export", tmp_path / "run", "--to", "stablehlo", *module]
    assert main(list(map(str, command))) == 0
    (tmp_path / "run" / "summary.json").unlink()
    unseal(tmp_path / "run", ["summary.json"])
    _, said = predicted(capsys, tmp_path / "run", tmp_path / "x.npy", *module)
    assert "step 3, the newest checkpoint; the run has not ended" in said
