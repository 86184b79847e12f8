"""Samples as lines of JSON: an object of columns, a list of numbers, or `{"x": ..., "y": ...}`."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.columns import table_of
from jaxopt_lab.data.encoding import encode
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Block, Fault, Read, sifted, sound
from jaxopt_lab.run.records.table_samples import no_columns
from jaxopt_lab.run.records.truth import (
    Truth,
    as_text,
    target_names,
    truth_of_array,
    truth_of_texts,
    unknown,
)


def line_blocks(network: Predictor, name: str, lines: Iterable[bytes], most: int) -> Read:
    """The samples of lines of JSON, which are numbered from 0, empty ones left out."""
    numbered = enumerate(line for line in lines if line.strip())
    while part := list(itertools.islice(numbered, most)):
        yield from _of_parsed(network, name, part)


def _of_parsed(network: Predictor, name: str, part: Sequence[tuple[int, bytes]]) -> Read:
    """Lines as samples: runs of objects go together, and so do runs of lists."""
    signature = network.signature
    parsed: list[tuple[int, Any]] = []
    for row, line in part:
        try:
            value = json.loads(line)
            if not isinstance(value, dict | list | int | float):
                raise ValueError("expected an object of columns, or a list of numbers")
            parsed.append((row, value))
        except (ValueError, RecursionError) as error:
            yield Fault(f"{name}, row {row:,}: no JSON of a sample: {str(error)[:200]}")
    for tabular, items in itertools.groupby(
        parsed, lambda item: isinstance(item[1], dict) and bool(signature.columns)
    ):
        run = list(items)
        rows = [row for row, _ in run]
        if tabular:
            yield from _of_objects(network, name, rows, [value for _, value in run])
            continue
        for row, value in run:
            yield from _of_list(network, name, row, value)


def _of_objects(network: Predictor, name: str, rows: list[int], objects: list[dict]) -> Read:
    """Objects of columns, `rows` their numbers."""
    signature = network.signature
    targets = target_names(network.config, signature)

    def read(part: slice) -> np.ndarray:
        table, source = table_of(signature.columns, objects[part], name, rows[part.start])
        return encode(signature.columns, table, source, missing=signature.fill is not None)

    def truth_at(part: slice) -> Truth:
        if not targets:
            return unknown(signature, part.stop - part.start)
        texts = [[as_text(each.get(t)) for each in objects[part]] for t in targets]
        return truth_of_texts(signature, texts)

    yield from sifted(network, name, rows, read, truth_at)


def _of_list(network: Predictor, name: str, row: int, value: Any) -> Read:
    """One sample: its numbers, or `{"x": numbers, "y": target}`."""
    signature = network.signature
    where = f"{name}, row {row:,}"
    try:
        y = None
        if isinstance(value, dict):
            if "x" not in value:
                raise InputError(f'{where}: {no_columns(network)}, or of JSON as {{"x": ...}}')
            value, y = value["x"], value.get("y")
        try:
            x = np.asarray([value])
        except ValueError:
            raise InputError(f"{where}: lists of several lengths are no sample") from None
        if x.dtype.kind not in "biuf":
            raise InputError(f"{where}: holds {x.dtype}, expected numbers")
        if x.shape == (1,) and signature.x_shape == (1,):
            x = x[:, None]
        if x.shape[1:] != signature.x_shape:
            wanted = ", ".join(map(str, signature.x_shape))
            raise InputError(f"{where}: expected a sample of shape ({wanted}), got {x.shape[1:]}")
        truth = unknown(signature, 1)
        if y is not None and signature.targets == "classes":
            truth = truth_of_texts(signature, [[as_text(y)]])
        elif y is not None:
            truth = truth_of_array(signature, np.asarray([y]), None, where)
    except InputError as error:
        yield Fault(str(error))
        return
    yield from sound(network, Block(x, [name], [row], truth))
