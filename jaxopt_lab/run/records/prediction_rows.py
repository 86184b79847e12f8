"""Predictions as rows of CSV or lines of JSON, each with the place of its sample.

In CSV a text that a spreadsheet would take for a formula is made harmless: the path of a file
becomes `./=name`, which is the same file, and a class `'=name`. Lines of JSON have them as they
are.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.run.records.csv_text import begins_as_formula, csv_text
from jaxopt_lab.run.records.prediction import Prediction
from jaxopt_lab.run.records.sample_blocks import Block


class Form(NamedTuple):
    """What a row has, for all rows of a command.

    Attributes:
      kind: what the targets are: "classes", "labels" or "numbers".
      top: of classes and labels, how many are told, the likeliest first.
      score: what their numbers are called: "probability", or "score" where they are none.
      numbers: names of the numbers that are predicted; ("",) for a single one.
      tells_truth: whether a row has what is true, where its input says it.
    """

    kind: str
    top: int
    score: str
    numbers: tuple[str, ...]
    tells_truth: bool


class Row(NamedTuple):
    """One sample: where it came from, what is predicted, and what is true.

    Attributes:
      input: the path of its file; "-" for standard input.
      row: its number in the file, from 0; None where the file is the sample.
      labels: of labels the names of those that are there.
      ranked: `(name, probability)`, the likeliest first; [] of outputs that are not finite.
      numbers: those that are predicted.
      true: a class, a list of labels, a number or a list of numbers; None where it is not known.
    """

    input: str
    row: int | None
    labels: list[str]
    ranked: list[tuple[str, float]]
    numbers: list[float]
    true: Any


def rows_of(form: Form, block: Block, found: Prediction, true: Sequence[Any]) -> list[Row]:
    """The rows of some samples."""
    count = len(block)
    labels, ranked, numbers = [[]] * count, [[]] * count, [[]] * count
    if found.numbers is not None:
        numbers = _shortest(found.numbers.reshape(count, -1))
    elif found.index is not None:
        scores = found.scores
        # By the outputs, because two probabilities may both be 1; of equals the first.
        order = np.argsort(-found.outputs, axis=-1, kind="stable")[:, : form.top]
        values = _shortest(np.take_along_axis(scores, order, -1))
        finite = np.isfinite(found.outputs).all(-1)
        ranked = [
            [(found.classes[k], v) for k, v in zip(*pair, strict=True)] if fine else []
            for *pair, fine in zip(order, values, finite, strict=True)
        ]
        if form.kind == "labels":
            labels = [
                names if fine else [] for names, fine in zip(found.names, finite, strict=True)
            ]
    return [
        Row(*row)
        for row in zip(block.names, block.rows, labels, ranked, numbers, true, strict=True)
    ]


def csv_writer(form: Form) -> tuple[str, Callable[[Sequence[Row]], str]]:
    """The header of a CSV, and what gives the text of rows."""

    def header() -> list[str]:
        true = ["true"] if form.tells_truth else []
        if form.kind == "numbers":
            true = [_named("true", n) for n in form.numbers] if true else []
            return [*(_named("prediction", n) for n in form.numbers), *true]
        ends = ["", *(f"_{k}" for k in range(2, form.top + 1))]
        pairs = [name + end for end in ends for name in ("class", form.score)]
        return [*(["labels"] if form.kind == "labels" else []), *pairs, *true]

    def cells(row: Row) -> list[Any]:
        place = [_path(row.input), "" if row.row is None else row.row]
        if form.kind == "numbers":
            true = row.true if isinstance(row.true, list) else [row.true]
            true = ["" if v is None else v for v in true * (row.true is not None)]
            empty = [""] * (len(form.numbers) - len(true))
            return [*place, *row.numbers, *([*true, *empty] if form.tells_truth else [])]
        pairs = [cell for name, value in row.ranked for cell in (name, value)]
        pairs += [""] * (2 * form.top - len(pairs))
        labels = [json.dumps(row.labels, ensure_ascii=False)] if form.kind == "labels" else []
        true = json.dumps(row.true, ensure_ascii=False) if isinstance(row.true, list) else row.true
        own = ["" if true is None else true] if form.tells_truth else []
        return [*place, *labels, *pairs, *own]

    head = csv_text([["input", "row", *header()]])
    return head, lambda rows: csv_text(map(cells, rows))


def json_writer(form: Form) -> tuple[str, Callable[[Sequence[Row]], str]]:
    """As `csv_writer`, of lines of JSON, which have no header."""

    def line(row: Row) -> str:
        values: dict[str, Any] = {"input": row.input}
        if row.row is not None:
            values["row"] = row.row
        if form.kind == "numbers":
            numbers: Any = [_finite(v) for v in row.numbers]
            if form.numbers == ("",):
                numbers = numbers[0]
            elif not form.numbers[0].isdecimal():
                numbers = dict(zip(form.numbers, numbers, strict=True))
            values["prediction"] = numbers
        else:
            if form.kind == "labels":
                values["labels"] = row.labels
            pairs = [{"class": name, form.score: _finite(v)} for name, v in row.ranked]
            values |= pairs[0] if pairs else {"class": None, form.score: None}
            if form.top > 1:
                values["top"] = pairs
        if form.tells_truth and row.true is not None:
            values["true"] = row.true
        return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"

    return "", lambda rows: "".join(map(line, rows))


def _shortest(values: np.ndarray) -> list[list[float]]:
    """Numbers as the shortest decimals that read back as them, in their own dtype."""
    return values.astype(str).astype(np.float64).tolist()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _named(what: str, name: str) -> str:
    return f"{what}_{name}" if name else what


def _path(path: str) -> str:
    """The path of a file, made harmless as a path."""
    return f"./{path}" if begins_as_formula(path) else path
