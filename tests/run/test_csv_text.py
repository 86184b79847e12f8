"""A spreadsheet computes nothing of what a command writes as CSV, and numbers stay numbers."""

import csv
import io

import numpy as np
import pytest

from jaxopt_lab.run.records.csv_text import csv_text

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("x")', "＝1+1"]


def cells(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_text_is_no_formula_in_a_head_or_a_row(formula):
    assert cells(csv_text([[formula], ["a", formula]])) == [[f"'{formula}"], ["a", f"'{formula}"]]


@pytest.mark.parametrize(
    "plain", ["", "cat", "a=b", "1+1", "'=1", "-1", "+2.5e-3", "日本", "a,b\n"]
)
def test_other_text_and_numbers_stay(plain):
    assert cells(csv_text([[plain, "x"]])) == [[plain, "x"]]


def test_numbers_are_in_full():
    row = [-1, -0.1, np.float32(0.1).item(), float("nan"), None, True]
    assert csv_text([row]) == "-1,-0.1,0.10000000149011612,nan,,True\n"
