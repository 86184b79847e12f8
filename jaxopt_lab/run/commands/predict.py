"""`jaxopt-lab predict`: files in, predictions out, row by row."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import written_atomically
from jaxopt_lab.run.records.prediction import Prediction
from jaxopt_lab.run.records.prediction_rows import Form, csv_writer, json_writer, rows_of
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Block, Fault, in_batches_of
from jaxopt_lab.run.records.samples import Input, inputs_to
from jaxopt_lab.run.records.scores import in_words, label
from jaxopt_lab.run.records.tally import Tally
from jaxopt_lab.run.records.truth import Truth, target_names, told
from jaxopt_lab.run.terminal.counting import counting
from jaxopt_lab.run.terminal.progress import Progress
from jaxopt_lab.run.terminal.streams import let_go

Kind = Literal["csv", "jsonl"]
MOST_TOLD = 100
"""Of what could not be read, listed in the end; the rest is counted."""

_LINES = (".jsonl", ".ndjson")


class Predicted(NamedTuple):
    """What came of files of samples.

    Attributes:
      count: samples that were predicted.
      faults: what could not be read, and why; the first `MOST_TOLD`.
      unread: how many there are.
      scores: the run's own loss and metrics, where targets were there; else {}.
      scored: samples whose targets were there.
    """

    count: int
    faults: list[str]
    unread: int
    scores: dict[str, Any]
    scored: int


def predict_files(
    network: Predictor,
    files: Sequence[str],
    write: Callable[[bytes], Any],
    *,
    kind: Kind = "csv",
    top: int = 5,
    stdin: BinaryIO | None = None,
    terminal: Progress | None = None,
) -> Predicted:
    """Predict what files hold, and write a row a sample, in their order.

    Args:
      network: a `Run`, or an ensemble of runs.
      files: images, folders of images, `.npz` and `.npy` arrays, tables, lines of JSON; "-" for
        `stdin`.
      write: takes the bytes of the rows, UTF-8.
      kind: "csv" or "jsonl".
      top: of classes and labels, how many a row tells, the likeliest first; at most all.
      stdin: what "-" is.
      terminal: where to draw a bar; None for nowhere.

    Returns:
      A `Predicted`. Samples that cannot be read are left out and told there.

    Raises:
      InputError: where a file is not there or is of a kind that the network does not take, or
        where no sample can be read.
    """
    if top < 1:
        raise InputError(f"predict: top must be >= 1, got {top}")
    inputs = inputs_to(network, files, stdin)
    form = _form(network, top)
    header, lines = csv_writer(form) if kind == "csv" else json_writer(form)
    size = network.experiment.evaluation_batch_size
    tally, faults, count = Tally(network.experiment), _Faults(), 0
    totals = [each.count for each in inputs]
    total = None if None in totals else sum(filter(None, totals))
    with counting(terminal or Progress(show=False), total) as advance:
        blocks = _good(inputs, size, faults, advance)
        for block, found in _predicted(network, blocks, size):
            truth = _reconstructed(block) if network.config.data.reconstruct else block.truth
            tally.add(found.outputs, truth)
            true = told(network.signature, truth) if form.tells_truth else [None] * len(block)
            rows = rows_of(form, block, found, true)
            write(((header if not count else "") + lines(rows)).encode("utf-8", "surrogateescape"))
            count += len(block)
            advance(len(block))
    if not count:
        raise InputError("\n  ".join(["predict: nothing could be read:", *faults.lines()]))
    return Predicted(count, faults.texts, faults.count, tally.scores(), tally.count)


def show(predicted: Predicted, terminal: Progress) -> None:
    """Print the scores, and then what could not be read."""
    if predicted.scores:
        of = f"{predicted.scored:,} of {predicted.count:,} rows, whose targets are there"
        scores = {label(k): in_words(k, v) for k, v in predicted.scores.items()}
        terminal.say(", ".join(f"{name} {value}" for name, value in scores.items()) + f" ({of})")
    if predicted.unread:
        terminal.say(f"{predicted.unread:,} inputs could not be read:")
        for text in _Faults(predicted.faults, predicted.unread).lines():
            terminal.say(text)


def kind_of(asked: str | None, output: str | None) -> Kind:
    """The format that was asked for, or else that of the output's name; CSV by default."""
    if asked is not None:
        return "jsonl" if asked == "jsonl" else "csv"
    lines = output is not None and pathlib.Path(output).suffix.lower() in _LINES
    return "jsonl" if lines else "csv"


@contextlib.contextmanager
def output_to(path: str | None, *, force: bool = False) -> Iterator[Callable[[bytes], Any]]:
    """What takes the rows: a file, which is whole or not there, or standard output.

    A reader of standard output that has seen enough ends the block without an error.

    Raises:
      InputError: where the file is there already and `force` is not set, or cannot be there.
    """
    if path is not None:
        target = pathlib.Path(path)
        require_free(target, "--output", force)
        with written_atomically(target) as file:
            yield file.write
        return

    def write(data: bytes) -> None:
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:  # a notebook's
            sys.stdout.write(data.decode("utf-8", "replace"))
        else:
            buffer.write(data)
            buffer.flush()

    try:
        yield write
    except BrokenPipeError:
        let_go(sys.stdout)


def require_free(target: pathlib.Path, option: str, force: bool) -> None:
    """Make sure that a file may be written.

    Raises:
      InputError: where it is there and `force` is not set, is a folder, or has none to be in.
    """
    if target.is_dir():
        raise InputError(f"{option} {target}: is a folder, expected the name of a file")
    if target.exists() and not force:
        raise InputError(f"{option} {target}: is there already: give another, or --force")
    if not target.parent.is_dir():
        raise InputError(f"{option} {target}: there is no folder {target.parent}")


def _form(network: Predictor, top: int) -> Form:
    signature, reconstruct = network.signature, network.config.data.reconstruct
    probable = network.prediction(np.zeros((1, max(1, len(network.classes))), np.float32))
    score = "score" if probable.probabilities is None else "probability"
    names = target_names(network.config, signature)
    if not signature.y_shape:
        names = ("",)
    elif len(names) != signature.y_shape[0]:
        names = tuple(map(str, range(signature.y_shape[0])))
    return Form(
        signature.targets, min(top, max(1, len(network.classes))), score, names, not reconstruct
    )


def _good(
    inputs: Sequence[Input], size: int, faults: "_Faults", advance: Callable[[int], None]
) -> Iterator[Block]:
    """The blocks of all inputs; their faults are put with the others."""
    for each in inputs:
        for found in each.read(size):
            if isinstance(found, Fault):
                faults.add(found.text)
                advance(1)
            else:
                yield found


def _predicted(
    network: Predictor, blocks: Iterator[Block], size: int
) -> Iterator[tuple[Block, Prediction]]:
    """What the network says of blocks, in batches such as those of `apply`."""
    first = True
    for block in in_batches_of(size, blocks):
        rows = np.arange(len(block))
        if not first:  # filled up, as the last batch of a split is
            rows = np.minimum(np.arange(size), len(block) - 1)
        outputs = np.asarray(network.apply(block.x[rows]))[: len(block)]
        first = False
        yield block, network.prediction(outputs)


def _reconstructed(block: Block) -> Truth:
    """The target of an autoencoder: the sample itself, flat, bytes in [0, 1]."""
    unit = block.x.astype(np.float32) / (255 if block.x.dtype == np.uint8 else 1)
    return Truth(unit.reshape(len(unit), -1), np.ones(len(unit), bool))


class _Faults:
    """What could not be read: the first of it by name, and how much there is."""

    def __init__(self, texts: Sequence[str] = (), count: int = 0):
        self.texts, self.count = list(texts), count

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.texts) < MOST_TOLD:
            self.texts.append(text)

    def lines(self) -> list[str]:
        more = self.count - len(self.texts)
        return [*self.texts, *([f"and {more:,} more"] if more else [])]
