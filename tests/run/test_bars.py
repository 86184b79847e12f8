"""Bars: what they keep on a narrow terminal, and one output of a notebook for all that waits."""

import io
import re
import sys
import types

import numpy as np
import pytest
import rich.console

from jaxopt_lab.engine import Chunk
from jaxopt_lab.run.records.sweep_records import Setting
from jaxopt_lab.run.terminal import drawn_bar
from jaxopt_lab.run.terminal.counting import counting
from jaxopt_lab.run.terminal.progress import Progress


def lines(console):
    """What a terminal shows at the end: the last drawing of each line."""
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", console.file.getvalue())
    return [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]


def terminal(width):
    return rich.console.Console(
        file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False, _environ={}
    )


def train(console, total=12_345):
    one, end = np.ones(1, int), total - 345
    rows = {"loss": np.full((1, 250), 0.5123), "learning_rate": np.full((1, 250), 1e-3)}
    measured = {"val_loss": np.array([0.2]), "val_accuracy": np.array([0.971])}
    with Progress(console=console).training(0, total, 250) as bar:
        bar.update(Chunk(None, end - 250, 250, rows, one * end, one > 0, measured, 1.0, 0.0))


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (40, (), ("loss", "val acc", "lr", "steps/s")),
        (60, ("loss 0.5123",), ("val acc", "lr", "steps/s")),
        (80, ("loss 0.5123", "val acc 97.1%"), ("lr", "steps/s")),
        (90, ("loss 0.5123", "val acc 97.1%", "12,000 steps/s"), ("lr",)),
        (120, ("loss 0.5123", "lr 1.00e-03", "val acc 97.1%", "12,000 steps/s"), ()),
    ],
)
def test_epoch_count_and_time_stay_and_the_rate_goes_first(width, there, gone):
    console = terminal(width)
    train(console)
    (line,) = filter(None, lines(console))
    assert len(line) <= width and "…" not in line
    assert re.match(r"epoch 49/50 ━+[╸╺]?━* 12000/12345 .*(\d\d:\d\d|--:--)$", line)
    assert all(text in line for text in there) and not any(text in line for text in gone)


@pytest.mark.parametrize(("width", "there"), [(40, ""), (60, "best"), (80, "3,200 steps/s")])
def test_a_sweep_keeps_its_share_and_the_time_left(width, there):
    console = terminal(width)
    with Progress(console=console).sweeping(6400, "val_loss") as bar:
        ran = np.ones(64, int)
        bar.update(Chunk(None, 0, 50, {}, ran, ran > 0, None, 1.0, 0.0), [Setting((1, 2), 0.0556)])
    (line,) = filter(None, lines(console))
    assert len(line) <= width and re.match(r"sweep ━+[╸╺]?━* +50% .*(\d\d:\d\d|--:--)$", line)
    assert there in line


def test_where_nothing_can_be_drawn_lines_hold_everything():
    console = rich.console.Console(file=io.StringIO(), width=40, _environ={})
    train(console)
    (line,) = filter(None, lines(console))
    assert line.startswith("epoch 49/50  step 12000/12345  loss 0.5123  lr 1.00e-03  val acc 97.1%")
    with counting(Progress(console=console), 3, "three things") as advance:
        advance(1)
    assert lines(console)[-2:] == ["three things", ""]


@pytest.fixture(name="page")
def _page(monkeypatch):
    """The outputs of a notebook's cell, each as it is shown at last."""
    outputs = []

    class Handle:
        def __init__(self):
            self.place = len(outputs)
            outputs.append(None)

        def update(self, shown):
            text = shown._repr_mimebundle_((), ())["text/plain"]
            outputs[self.place] = " ".join(re.sub(r"\x1b\[[\d;]*m", "", text).split())

    def display(shown, display_id):
        assert display_id
        handle = Handle()
        handle.update(shown)
        return handle

    fake = types.ModuleType("IPython.display")
    fake.__dict__["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr(drawn_bar, "_PAUSE", 0)
    console = rich.console.Console(force_jupyter=True)
    monkeypatch.setattr(console, "print", lambda shown, **_: display(shown, display_id=True))
    return console, outputs


def test_in_a_notebook_what_is_said_next_takes_the_place_of_what_waited(page):
    console, outputs = page
    shown = Progress(console=console)
    with shown.waiting("reading ..."):
        assert outputs == ["reading ..."]
    with shown.waiting("compiling ..."):
        assert outputs == ["compiling ..."]
    shown.say("compiled")
    shown.say("begins")
    assert outputs == ["compiled", "begins"]
    with shown.waiting("evaluating ..."):
        pass
    shown.columns("of", ["scores"], [["1"]])
    assert len(outputs) == 3 and outputs[2].startswith("of scores")


@pytest.mark.parametrize("total", [5, None])
def test_a_count_leaves_one_line_in_a_notebook(page, total):
    console, outputs = page
    with counting(Progress(console=console), total, "tests") as advance:
        for _ in range(5):
            advance(1)
    assert len(outputs) == 1 and outputs[0].startswith("tests")
    assert ("5/5" if total else "5") in outputs[0]


def test_quiet_is_quiet_in_a_notebook(page):
    _, outputs = page
    console = rich.console.Console(force_jupyter=True, quiet=True)
    with Progress(console=console).waiting("compiling ..."), counting(Progress(console=console), 3):
        train(console)
    assert outputs == []
