"""What `sweep` returns."""

import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.notebook import fragment, note, table
from jaxopt_lab.core.readable import printable
from jaxopt_lab.core.tree import stack_trees
from jaxopt_lab.run.records.plots_in_notebook import plots
from jaxopt_lab.run.records.sweep_records import RunRecord, Setting, score
from jaxopt_lab.run.records.sweep_view import (
    best_figures,
    how_compared,
    ranking,
    sweep_figures,
    title_of,
)

if TYPE_CHECKING:
    from jaxopt_lab.run.records.member import Members
    from jaxopt_lab.run.records.run import Run
    from jaxopt_lab.run.records.run_ensemble import RunEnsemble

_MOST_ROWS = 12  # of the table in a notebook


class SweepResult(NamedTuple):
    """What a sweep leaves.

    Attributes:
      runs: a record for each run that has ended, in the sweep's order; None for the others.
      monitor: the metric that runs are compared by.
      settings: the best first, by the mean over their seeds of the monitor at the kept step.
      run_dir: the sweep's folder, or None.
      stopped_by: "finished" or "interrupted".
      seconds: of the whole, compilation included.
      trained: the runs as networks, behind `run` and `ensemble`.
    """

    runs: tuple[RunRecord | None, ...]
    monitor: str
    settings: tuple[Setting, ...]
    run_dir: pathlib.Path | None
    stopped_by: str
    seconds: float
    trained: "Members | None" = None

    def run(self, member: int | None = None) -> "Run":
        """A run as `load_run` gives it, with or without a folder; None for the best.

        Raises:
          InputError: where there is no such run, or it kept no parameters.
        """
        trained = self._networks()
        return trained.run(trained.best if member is None else member)

    def ensemble(self, best: int | None = None) -> "RunEnsemble":
        """The `best` runs, in the order of their settings, as one network; None for all.

        Raises:
          InputError: where there are not so many that kept parameters.
        """
        return self._networks().ensemble(best)

    def _networks(self) -> "Members":
        if self.trained is None:
            raise InputError("this result holds no networks: it was made without `sweep`")
        return self.trained

    @property
    def best(self) -> int | None:
        """The best run of the best setting; None where that has no mean."""
        if not self.settings or math.isnan(self.settings[0].mean):
            return None
        return min(self.settings[0].runs, key=lambda run: score(self.runs[run], self.monitor))

    def members(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        """Variables of runs of one structure, stacked, for `engine.ensemble_predict`.

        Args:
          indices: of runs; None for all that kept parameters.

        Returns:
          `{"params": ..., ...}`, each leaf with a leading axis of members.

        Raises:
          InputError: where a run has no parameters, or they do not stack.
        """
        chosen = [i for i, r in enumerate(self.runs) if r and r.params is not None]
        chosen = chosen if indices is None else list(indices)
        found = []
        for i in chosen:
            record = self.runs[i]
            if record is None or record.params is None:
                why = record.stopped_by if record else "not run"
                raise InputError(f"members: run {i} kept no parameters: {why}")
            found.append({"params": record.params, **(record.model_state or {})})
        if len({str(jax.tree.map(np.shape, f)) for f in found}) != 1:
            raise InputError("members: give indices of one or more runs of one structure")
        return stack_trees(found)

    @property
    def axes(self) -> list[str]:
        """The values that its runs differ in, seeds aside."""
        values = next((record.values for record in self.runs if record is not None), {})
        return [name for name in values if name != "seed"]

    def __repr__(self) -> str:
        ended = sum(record is not None for record in self.runs)
        lines = [f"<SweepResult of {ended:,} of {len(self.runs):,} runs, {self.stopped_by}"]
        lines += [f"  {name}: {value}" for value, name in best_figures(self)]
        lines += [f"  in {self.run_dir}"] if self.run_dir else []
        return printable("\n".join(lines)) + ">"

    def _repr_html_(self) -> str:
        names, rows = ranking(self.axes, self)
        rest = f"and {len(rows) - _MOST_ROWS:,} more settings" if len(rows) > _MOST_ROWS else ""
        ended = sum(record is not None for record in self.runs)
        count = f"{ended:,} of {len(self.runs):,} runs in {self.seconds:.1f} s"
        words = "; ".join(f"{name}: {value}" for value, name in best_figures(self))
        return fragment(
            title_of(self.axes).capitalize(),
            words[:1].upper() + words[1:],
            [
                table(names, rows[:_MOST_ROWS]),
                note(rest),
                plots(lambda: sweep_figures(self.axes, self)),
            ],
            soft=[
                f"{count}. {how_compared(self)}",
                str(self.run_dir or ""),
            ],
        )
