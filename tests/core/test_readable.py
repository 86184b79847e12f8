"""Names that hold anything, as a terminal and a message show them."""

import pytest

from jaxopt_lab.core.errors import InputError, Notice
from jaxopt_lab.core.readable import LONGEST_GIVEN, in_a_line, printable, shortened
from jaxopt_lab.run.terminal.progress import Progress

FORGED = "a\nfinished: test accuracy 100%"


@pytest.mark.parametrize("kind", [InputError, Notice])
def test_no_name_begins_a_line_of_a_message(kind):
    assert str(kind(f"{FORGED} is no folder")) == r"a\x0afinished: test accuracy 100% is no folder"
    assert str(kind(f"2 faults\n  data: {FORGED}\n  model: b")).count("\n") == 2


def test_no_name_begins_a_line_of_what_is_said(capsys):
    Progress().say(f"{FORGED}: all is what was written", "and so on")
    assert capsys.readouterr().out.splitlines()[1:] == ["and so on"]
    assert in_a_line("a\tb\x1b[31m\n") == "a\tb\\x1b[31m\\x0a"
    assert printable("a\nb\x1b") == "a\nb\\x1b"  # of text that is several lines by itself


@pytest.mark.parametrize("size", [0, 1, LONGEST_GIVEN, LONGEST_GIVEN + 1, 5000])
def test_what_was_given_is_shortened_where_it_is_long(size):
    text = shortened("9" * size)
    assert len(text) <= LONGEST_GIVEN and (text == "9" * size) == (size <= LONGEST_GIVEN)
    assert size <= LONGEST_GIVEN or text.endswith("more letters)")
