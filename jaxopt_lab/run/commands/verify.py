"""`jaxopt-lab verify`: whether a folder is what was written, and where two runs part."""

import os
import pathlib
from typing import Any, NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.records.difference import Difference, difference_of
from jaxopt_lab.run.records.folder import SWEEP
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.soundness import Fault, faults_of
from jaxopt_lab.run.terminal.progress import Progress


class Verified(NamedTuple):
    """What `verify` found.

    Attributes:
      faults: of each folder by its path, what is not what was written.
      difference: of two runs; None of one folder.
    """

    faults: dict[str, list[Fault]]
    difference: Difference | None

    @property
    def good(self) -> bool:
        """Whether all is what was written, and two runs are the same."""
        whole = not any(self.faults.values())
        return whole and (self.difference is None or self.difference.same)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        faults = {path: [f._asdict() for f in found] for path, found in self.faults.items()}
        difference = self.difference and {
            **self.difference._asdict(),
            "same": self.difference.same,
        }
        return {"good": self.good, "faults": faults, "difference": finite(difference)}


def verify(run: str | os.PathLike[str], other: str | os.PathLike[str] | None = None) -> Verified:
    """Check a folder by its own hashes; of two runs find also where they part.

    A hash says that a file is what was written, and not who wrote it.

    Args:
      run: the folder of a run or of a sweep.
      other: of another run, to compare the first with.

    Returns:
      A `Verified`.

    Raises:
      InputError: where a folder holds neither, or a sweep is to be compared.
    """
    paths = [pathlib.Path(path) for path in (run, other) if path is not None]
    faults = {str(path): faults_of(path) for path in paths}
    if len(paths) == 1:
        return Verified(faults, None)
    for path in paths:
        if (path / SWEEP).exists():
            raise InputError(f"{path} is a sweep: give the folders of two runs to compare")
        if not (path / "config.toml").exists() or any(
            fault.file == "config.toml" for fault in faults[str(path)]
        ):
            raise InputError(
                f"{path}: config.toml is not what the run wrote, and two runs are compared only "
                f"where it is: `verify {path}` says more"
            )
    return Verified(faults, difference_of(*map(RunFolder, paths)))


def show_verified(found: Verified, terminal: Progress) -> None:
    """Print it in words."""
    for path, faults in found.faults.items():
        if not faults:
            terminal.say(f"{path}: all is what was written")
            continue
        terminal.say(f"{path}: {len(faults)} file{'s' * (len(faults) > 1)} not as written")
        for fault in faults:
            terminal.say(f"  {fault.file} is {fault.state}: {fault.then}")
    if found.difference is not None:
        for line in _in_words(found.difference):
            terminal.say(line)


def _in_words(found: Difference) -> list[str]:
    lines = [] if found.same_config else ["the two are of different configurations"]
    counted = (
        f"{found.evaluations:,} hashed states, {found.rows:,} rows of the logs and "
        f"{len(found.checkpoints):,} checkpoints that both have"
    )
    if not found.compared:
        return [*lines, "nothing could be compared: no row and no checkpoint is in both"]
    if found.same:
        return [*lines, f"the same to the bit: {counted}"]
    lines.append(f"they differ; compared were {counted}")
    if found.state_step is not None:
        lines.append(f"  the states differ at step {found.state_step:,} first")
    if found.row_step is not None:
        names = ", ".join(found.row_names)
        lines.append(f"  the logs differ at step {found.row_step:,} first, in {names}")
    if found.leaf_step is not None:
        how = "which one of them lacks"
        if found.leaf_forms:
            how = " in one and ".join(found.leaf_forms) + " in the other"
        elif found.leaf_size:
            how = (
                f"{found.leaf_differs:,} of {found.leaf_size:,} numbers, at most by "
                f"{found.leaf_most:.3g}"
            )
        lines.append(f"  of the checkpoint of step {found.leaf_step:,}: {found.leaf}, {how}")
    elif found.checkpoints:
        lines.append("  their checkpoints are the same")
    else:
        lines.append("  no checkpoint of one step is in both, so no array can be named")
    return lines
