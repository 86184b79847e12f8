"""The runs of a sweep as trained networks: of a folder, or of a result that was not written."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.source import without_data
from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.metrics import held_out
from jaxopt_lab.core.types import Model
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.run import Run
from jaxopt_lab.run.records.run_ensemble import RunEnsemble, ensemble_of
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import RunRecord, Setting, ranked, score


@dataclasses.dataclass(frozen=True)
class Members:
    """The trained runs of a sweep, each assembled when it is asked for.

    Attributes:
      plan: the sweep.
      signatures: of the data of each run.
      model: given in place of the configuration's; None for that one.
      record: `(run, shapes of its params and model state) -> RunRecord`; None where it has not
        ended.
      settings: the best first, as of `SweepResult`.
      monitor: the metric that they are compared by.
      path: the sweep's folder, or None.
    """

    plan: Sweep
    signatures: tuple[Signature, ...]
    model: Model | None
    record: Callable[[int, Any], RunRecord | None]
    settings: tuple[Setting, ...]
    monitor: str
    path: pathlib.Path | None

    def run(self, member: int) -> Run:
        """A run of the sweep.

        Raises:
          InputError: where there is no such run, it has not ended, or it kept no parameters.
        """
        last = len(self.plan.runs) - 1
        if not 0 <= member <= last:
            raise InputError(f"{self._name}: its runs are 0 to {last}, got member {member}")
        config, experiment = self.plan.runs[member].config, self._experiments[member]
        record = self.record(member, _shapes(experiment))
        if record is None:
            raise InputError(f"{self._name}: run {member} has not ended; go on with --resume")
        why = f"run {member} of a sweep, {record.stopped_by} at step {record.steps:,}"
        if record.params is None:
            raise InputError(f"{self._name}: {why}: it kept no parameters")
        kept = experiment.kept
        step = record.steps if record.kept_step is None else record.kept_step
        return Run(
            path=self.path,
            config=config,
            signature=self.signatures[member],
            history=record.history,
            summary={
                "test": dict(record.test),
                "steps": record.steps,
                "stopped_by": record.stopped_by,
                "kept": kept,
                "kept_step": step,
            },
            params=record.params,
            model_state=record.model_state or {},
            kept=kept,
            step=step,
            why=f"step {step:,}, the {kept} that it kept; {why}",
            member=member,
            state=None,
            experiment=experiment,
            together=lambda run, best: self.ensemble(best),
        )

    @property
    def best(self) -> int:
        """The best run of the best setting.

        Raises:
          InputError: where no run kept parameters.
        """
        return self._in_order()[0]

    def ensemble(self, best: int | None = None) -> RunEnsemble:
        """The `best` runs in the order of their settings' ranks, or all, together.

        Raises:
          InputError: where there are not so many.
        """
        order = self._in_order()
        if best is not None and not 1 <= best <= len(order):
            raise InputError(
                f"{self._name}: {len(order)} of its runs kept parameters, got best={best}"
            )
        chosen = order[:best]
        which = "all" if best is None else "the best"
        listed = ", ".join(map(str, chosen[:10])) + (", ..." if len(chosen) > 10 else "")
        return ensemble_of(
            [self.run(i) for i in chosen], f"{which} {len(chosen)} runs of a sweep ({listed})"
        )

    def _in_order(self) -> list[int]:
        """The runs that kept parameters, the best first."""
        found = []
        for setting in self.settings:
            records = {run: self.record(run, None) for run in setting.runs}
            ended = {run: r for run, r in records.items() if r is not None and r.test}
            values = {run: score(r, self.monitor) for run, r in ended.items()}
            # Not a number is last, in its own order.
            found += sorted(ended, key=lambda run: (values[run] != values[run], values[run], run))
        if not found:
            raise InputError(f"{self._name}: no run has kept parameters; go on with --resume")
        return found

    @property
    def _name(self) -> str:
        return str(self.path or "the sweep")

    @functools.cached_property
    def _experiments(self) -> "_Assembled":
        return _Assembled(self)


class _Assembled(dict[int, Experiment]):
    """The objects of each run, without data; those of one network are shared."""

    def __init__(self, members: Members):
        super().__init__()
        self._members = members
        self._shared: dict[str, Experiment] = {}

    def __missing__(self, member: int) -> Experiment:
        config, members = self._members.plan.runs[member].config, self._members
        # What predicting needs, and what parameters are kept by.
        key = repr((config.data, config.model, config.loss, config.train, config.control))
        if key not in self._shared:
            source = without_data(config, members.signatures[member], members.model)
            self._shared[key] = assemble(config, source)
        self[member] = self._shared[key]
        return self[member]


def load_member(
    path: str | os.PathLike[str], member: int | None, model: Model | None = None
) -> Run:
    """A run of the sweep in a folder; None for the best one.

    Raises:
      InputError: where the folder holds no such run.
    """
    members = load_members(path, model)
    return members.run(members.best if member is None else member)


def load_members(path: str | os.PathLike[str], model: Model | None = None) -> Members:
    """The trained runs of the sweep in a folder, without its data.

    Raises:
      InputError: where it holds none, or one of another version.
    """
    folder = SweepFolder(path)
    plan = folder.own_config()
    signatures = folder.own_signatures(len(plan.runs), model)
    rows = folder.read_rows(plan)
    records = [rows.get(run) for run in range(len(plan.runs))]
    (validation,) = held_out(["loss"])
    measured = any(validation in record.metrics for record in rows.values())
    monitor = plan.settings.monitor or (validation if measured else "loss")

    def record(run: int, shapes: Any) -> RunRecord | None:
        return records[run] if shapes is None else folder.read_run(plan, run, shapes)

    settings = tuple(ranked(plan, records, monitor))
    return Members(plan, signatures, model, record, settings, monitor, folder.path)


def _shapes(experiment: Experiment) -> Any:
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    return shapes.params, shapes.model_state
