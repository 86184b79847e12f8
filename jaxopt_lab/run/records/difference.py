"""Where two runs part: the first step, and the first array, in which they differ."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.history import EVAL_STEP, STEP
from jaxopt_lab.run.records.json_lines import read_lines
from jaxopt_lab.run.records.metrics_log import STATE
from jaxopt_lab.run.records.run_folder import RunFolder


class Difference(NamedTuple):
    """How two runs differ; a step is None where nothing differs that both of them have.

    Attributes:
      same_config: whether they were trained by the same configuration, but for places of files.
      evaluations: whose states both logs have a hash of.
      state_step: the first of them at which the states differ.
      rows: of the logs, by step, that both have.
      row_step, row_names: the first row that differs, and in which numbers.
      checkpoints: the steps of which both have a whole checkpoint.
      leaf_step, leaf: the first of those that differs, and its first array that does, such as
        "params/Dense_0/kernel".
      leaf_differs, leaf_size, leaf_most: how many of its numbers differ, of how many, and at most
        by how much; 0 where the two are no arrays of one shape and dtype.
      leaf_forms: the shape and dtype in each, where these differ.
    """

    same_config: bool
    evaluations: int
    state_step: int | None
    rows: int
    row_step: int | None
    row_names: tuple[str, ...]
    checkpoints: tuple[int, ...]
    leaf_step: int | None = None
    leaf: str | None = None
    leaf_differs: int = 0
    leaf_size: int = 0
    leaf_most: float = 0.0
    leaf_forms: tuple[str, ...] = ()

    @property
    def compared(self) -> bool:
        """Whether there is anything that both have."""
        return bool(self.rows or self.checkpoints)

    @property
    def same(self) -> bool:
        """Whether nothing differs of what both have, which is something."""
        differs = (self.state_step, self.row_step, self.leaf_step) != (None, None, None)
        return self.compared and not differs


def difference_of(one: RunFolder, other: RunFolder) -> Difference:
    """Compare the logs and the checkpoints of two runs, by their bits.

    Logs of other intervals are compared at the rows that both have.

    Raises:
      InputError: where one of them is no run that can be read.
    """
    configs = [config_hash(folder.read_config()) for folder in (one, other)]
    rows = evaluations = 0
    state_step = row_step = None
    names: tuple[str, ...] = ()
    for step, mine, others in _rows_of_both(one, other):
        rows += 1
        if STATE in mine and STATE in others:
            evaluations += 1
            if state_step is None and mine[STATE] != others[STATE]:
                state_step = step
        if row_step is None:
            differing = [k for k in mine if k in others and mine[k] != others[k] and k != STATE]
            row_step, names = (step, tuple(differing)) if differing else (None, ())
    steps = [checkpoint.whole_steps(folder.checkpoints) for folder in (one, other)]
    both = tuple(sorted({*steps[0]} & {*steps[1]}))
    found = Difference(
        same_config=configs[0] == configs[1],
        evaluations=evaluations,
        state_step=state_step,
        rows=rows,
        row_step=row_step,
        row_names=names,
        checkpoints=both,
    )
    for step in both:
        if leaf := _first_leaf(one, other, step):
            return found._replace(leaf_step=step, **leaf)
    return found


def _rows_of_both(
    one: RunFolder, other: RunFolder
) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
    """The step, and the two rows of it, of all rows that both logs have, in their order."""

    def keyed(folder: RunFolder) -> Iterator[tuple[tuple[int, bool], dict[str, Any]]]:
        for row in read_lines(folder.metrics):
            step = row.get(STEP, row.get(EVAL_STEP))
            if isinstance(step, int):
                yield (step, STEP not in row), row

    rows, others = keyed(one), keyed(other)
    mine, theirs = next(rows, None), next(others, None)
    while mine is not None and theirs is not None:
        if mine[0] == theirs[0]:
            yield mine[0][0], mine[1], theirs[1]
        behind = mine[0] <= theirs[0], theirs[0] <= mine[0]
        mine = next(rows, None) if behind[0] else mine
        theirs = next(others, None) if behind[1] else theirs


def _first_leaf(one: RunFolder, other: RunFolder, step: int) -> dict[str, Any] | None:
    found = [
        checkpoint.read_arrays(folder.checkpoints, lambda name: True, step)
        for folder in (one, other)
    ]
    assert found[0] is not None and found[1] is not None  # they are whole
    mine, theirs = found[0][1], found[1][1]
    for name in itertools.chain(mine, (name for name in theirs if name not in mine)):
        if name not in mine or name not in theirs:
            return {"leaf": name}
        a, b = mine[name], theirs[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            return {"leaf": name, "leaf_forms": tuple(f"{x.shape} {x.dtype}" for x in (a, b))}
        if a.tobytes() != b.tobytes():
            return {"leaf": name, "leaf_size": a.size, **_how_far(a, b)}
    return None


def _how_far(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    bits = (x.view(np.uint8).reshape(x.size, -1) for x in map(np.ascontiguousarray, (a, b)))
    differ = np.any(next(bits) != next(bits), axis=1)
    wide = complex if a.dtype.kind == "c" else np.float64
    most = np.abs(a.astype(wide).ravel()[differ] - b.astype(wide).ravel()[differ]).max()
    return {"leaf_differs": int(differ.sum()), "leaf_most": float(most)}
