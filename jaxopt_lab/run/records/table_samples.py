"""Tables to predict, CSV and Parquet: columns by name, encoded as training did, piece by piece."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.encoding import encode
from jaxopt_lab.data.tables import Source, find_columns, stream_columns
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Block, Fault, Read, sifted
from jaxopt_lab.run.records.truth import Truth, as_text, target_names, truth_of_texts, unknown


def table_blocks(network: Predictor, name: str, most: int) -> Read:
    """The rows of a table, encoded as training did."""
    signature, arguments = network.signature, network.config.data.source.arguments
    columns = signature.columns
    if not columns:
        yield Fault(f"{name}: {no_columns(network)}")
        return
    wanted = [column["name"] for column in columns]
    first, good = 0, False
    try:
        source = find_columns(name, arguments.get("separator"))
        source.require(wanted, "predict")
        targets = [t for t in target_names(network.config, signature) if t in source.names]
        whole = len(targets) == len(target_names(network.config, signature))
        targets = targets if whole else []
        decimal = arguments.get("decimal", ".")
        for table in stream_columns(source, [*wanted, *targets], most):
            piece = Source(name, source.names, None, first=first)

            def read(rows: slice, table=table, piece=piece) -> np.ndarray:
                part = table.slice(rows.start, rows.stop - rows.start)
                place = piece._replace(first=piece.first + rows.start)
                part = _as_numbers(part, columns, place, decimal)
                return encode(columns, part, place, missing=signature.fill is not None)

            def truth_at(rows: slice, table=table, targets=targets, decimal=decimal) -> Truth:
                part = table.slice(rows.start, rows.stop - rows.start)
                if not targets:
                    return unknown(signature, part.num_rows)
                return truth_of_texts(signature, [_texts(part, t, decimal) for t in targets])

            rows = range(first, first + table.num_rows)
            for found in sifted(network, name, rows, read, truth_at):
                good |= isinstance(found, Block)
                yield found
            first += table.num_rows
            if not good:
                yield Fault(f"{name}: none of its first {first:,} rows can be read: left there")
                return
        if not first:
            yield Fault(f"{name}: holds no rows, only the names of its columns")
    except InputError as error:
        after = f" (after {first:,} rows)" if first else ""
        yield Fault(f"{error}{after}")


def no_columns(network: Predictor) -> str:
    """Why a run on arrays takes no columns by name, in words."""
    shape = ", ".join(map(str, ("N", *network.signature.x_shape)))
    return (
        "the run was trained on arrays, whose columns have no names: give an .npz or .npy file "
        f"with x of shape ({shape})"
    )


def _as_numbers(
    table: Any, columns: Sequence[Mapping[str, Any]], source: Source, decimal: str
) -> Any:
    """A table of text with its columns of numbers as such."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = {column["name"] for column in columns if column["kind"] == "number"}
    for place, name in enumerate(table.column_names):
        values = table.column(name)
        if name not in numbers or values.type != pa.string():
            continue
        try:
            plain = pc.utf8_trim_whitespace(values) if decimal == "." else values  # pyright: ignore
            found = pc.cast(plain, pa.float64())
        except pa.ArrowInvalid:  # one by one, to say which, or of another decimal point
            found = pa.array(_each_as_number(values.to_pylist(), name, source, decimal))
        table = table.set_column(place, name, found.cast(pa.float64()))
    return table


def _each_as_number(
    texts: Sequence[str | None], name: str, source: Source, decimal: str
) -> list[float | None]:
    found: list[float | None] = []
    for row, text in enumerate(texts):
        number = _as_number(text, decimal)
        if isinstance(number, str):
            raise InputError(
                f"{source.path}: column {name!r} holds {number!r} on {source.place(row)}, "
                "expected a number"
            )
        found.append(number)
    return found


def _as_number(text: str | None, decimal: str) -> float | str | None:
    """The number that a text is; itself where it is none."""
    if text is None:
        return None
    stripped = text.strip()
    if stripped.lower() in ("true", "false"):
        return float(stripped.lower() == "true")
    try:
        return float(stripped.replace(decimal, ".") if decimal != "." else stripped)
    except ValueError:
        return text


def _texts(table: Any, name: str, decimal: str) -> list[str | None]:
    import pyarrow as pa

    values = table.column(name)
    texts = [as_text(value) for value in values.to_pylist()]
    if decimal != "." and values.type == pa.string():
        texts = [t if t is None else t.replace(decimal, ".") for t in texts]
    return texts
