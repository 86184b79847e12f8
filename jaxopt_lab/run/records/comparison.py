"""Runs side by side: settings, their means over seeds, their differences, and a page of it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.tables import better
from jaxopt_lab.core.metrics import is_held_out, on_batch
from jaxopt_lab.core.notebook import fragment, table
from jaxopt_lab.core.readable import printable
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.run.records.history import EVAL_STEP, STEP, thinned
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.overview import Overview
from jaxopt_lab.run.records.page import Section, fill_page, picture
from jaxopt_lab.run.records.plots_in_notebook import plots
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.scores import decimals_beside, in_words, is_share, label

MOST_POINTS = 2000  # of a curve that is drawn


class Compared(NamedTuple):
    """A run that is compared.

    Attributes:
      name: of its folder, with as much of its path as tells it from the others.
      seed: that it was trained with.
      overview: what its folder says of it.
      history: NumPy columns, as of `Result`.
      scores: of its test split, and the best that it measured on the validation split.
    """

    name: str
    seed: int
    overview: Overview
    history: Mapping[str, np.ndarray]
    scores: Mapping[str, float]


class Mean(NamedTuple):
    """A mean over seeds: `error` is its standard error, NaN of one value; `count` how many."""

    value: float
    error: float
    count: int


@dataclasses.dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but the seed.

    Attributes:
      name: a letter, "A" for the first that was given.
      runs: those.
      values: what of its configuration differs between settings, by path; None where it has none.
    """

    name: str
    runs: tuple[Compared, ...]
    values: Mapping[str, Any]

    def mean(self, score: str) -> Mean:
        """Of a score over its seeds."""
        return _mean([run.scores[score] for run in self._by_seed(score).values()])

    def minus(self, other: "Setting", score: str) -> Mean:
        """The mean difference to another setting over the seeds that both have."""
        ours, theirs = self._by_seed(score), other._by_seed(score)
        pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
        return _mean([a.scores[score] - b.scores[score] for a, b in pairs])

    def _by_seed(self, score: str) -> dict[int, Compared]:
        """A run of each seed that has the score: one that was trained again is no other draw."""
        return {run.seed: run for run in reversed(self.runs) if score in run.scores}

    @property
    def in_words(self) -> str:
        """Its letter and what differs, as far as that is short."""
        words = ", ".join(
            f"{path.rsplit('.', 1)[-1]} = {_shown(v)}" for path, v in self.values.items()
        )
        return self.name if not words or len(words) > 48 else f"{self.name}: {words}"


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """Runs side by side; `compare` makes it.

    Attributes:
      settings: the runs by what they were trained with, in the order that they were given.
      scores: the names of what any run scored, those of the test split first.
    """

    settings: tuple[Setting, ...]
    scores: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """The paths of the values that differ between settings."""
        return list(dict.fromkeys(path for s in self.settings for path in s.values))

    def figures(self) -> dict[str, Any]:
        """Learning curves over each other, by the name of the metric."""
        from jaxopt_lab.plots import compared_curves  # here: matplotlib takes long to import

        found = {}
        for name in self._curves():
            steps = EVAL_STEP if name.startswith(("val_", "train_")) else STEP
            runs: dict[str, Any] = {"x": [], "y": [], "label": [], "x_name": "epoch", "name": name}
            for setting in self.settings:
                for run in setting.runs:
                    if name in run.history and len(run.history[steps]):
                        runs["x"].append(
                            thinned(run.history[steps], MOST_POINTS) / _epoch(run.overview)
                        )
                        runs["y"].append(thinned(run.history[name], MOST_POINTS))
                        runs["label"].append(setting.in_words)
            found[name] = compared_curves(runs | {"log": name.endswith("loss")})
        return found

    def _curves(self) -> list[str]:
        """Losses and held-out metrics that any run has, and the learning rate."""
        names = dict.fromkeys(name for s in self.settings for r in s.runs for name in r.history)
        held = [name for name in names if is_held_out(name)]
        return [n for n in ("loss", *held, "learning_rate") if n in names]

    def page(self) -> bytes:
        """All of it as one self-contained page of HTML."""
        from jaxopt_lab.plots import figure_png

        plots = [
            picture(name.replace("_", " "), figure_png(figure))
            for name, figure in self.figures().items()
        ]
        runs = sum(len(setting.runs) for setting in self.settings)
        head, rows = self.table()
        sections = [
            Section("Scores", head=head, rows=rows, note=_NOTE),
            Section("Learning curves", plots=plots),
        ]
        for title, (names, cells) in (
            (f"Differences to {self.settings[0].name}, seed by seed", self.paired()),
            ("What differs between the configurations", self.values()),
            ("Runs", self.listed()),
        ):
            left = len(names) if title.startswith("What") else 1
            sections.append(Section(title, head=names, rows=cells, left=left))
        return fill_page(
            title=f"{runs} runs compared",
            verdict=self.verdict,
            figures=[(str(len(self.settings)), "settings"), (str(runs), "runs")],
            sections=sections,
        )

    @property
    def verdict(self) -> str:
        """Which setting is the best, and whether that is more than chance."""
        if not self.scores:
            return "No run has come to its end yet."
        score = self.scores[0]
        known = [s for s in self.settings if math.isfinite(s.mean(score).value)]
        if not known:
            return f"No run has a {_called(score)}."
        best = min(known, key=lambda s: _sign(score) * s.mean(score).value)
        words = (
            f"{best.in_words} has the best {_called(score)}, {_in_words(score, best.mean(score))}"
        )
        others = [s for s in known if s is not best]
        if not others:
            return f"{words}."
        second = min(others, key=lambda s: _sign(score) * s.mean(score).value)
        apart = best.minus(second, score)
        if not math.isfinite(apart.error):
            return f"{words}; to tell it from {second.name} train more seeds of both."
        sure = abs(apart.value) > 2 * apart.error
        how = "more than twice" if sure else "less than twice"
        return f"{words}; its lead over {second.name} is {how} its standard error."

    def table(self) -> tuple[list[str], list[list[str]]]:
        """A row a setting: its scores, each the mean and its standard error."""
        head = ["setting", "seeds", *map(_called, self.scores)]
        rows = [
            [
                s.in_words,
                str(len({run.seed for run in s.runs})),
                *(_in_words(n, s.mean(n)) for n in self.scores),
            ]
            for s in self.settings
        ]
        return head, rows

    def paired(self) -> tuple[list[str], list[list[str]]]:
        """A row a setting but the first: mean differences to it over the seeds that both have."""
        first, *others = self.settings
        rows = []
        for setting in others:
            apart = {name: setting.minus(first, name) for name in self.scores}
            pairs = max((mean.count for mean in apart.values()), default=0)
            cells = [_in_words(n, m, sign="+") for n, m in apart.items()]
            rows.append([setting.in_words, str(pairs), *cells])
        return ["setting", "pairs", *map(_called, self.scores)], rows

    def values(self) -> tuple[list[str], list[list[str]]]:
        """A row a value that differs, a column a setting."""
        rows = [
            [path, *(_shown(s.values.get(path)) for s in self.settings)]
            for path in self.differences
        ]
        return ["value", *(setting.name for setting in self.settings)], rows

    def listed(self) -> tuple[list[str], list[list[str]]]:
        """A row a run."""
        rows = [
            [
                run.name,
                setting.name,
                str(run.seed),
                run.overview.state,
                *(_in_words(n, _mean([run.scores.get(n, math.nan)])) for n in self.scores),
            ]
            for setting in self.settings
            for run in setting.runs
        ]
        return ["run", "setting", "seed", "state", *map(_called, self.scores)], rows

    def as_json(self) -> dict[str, Any]:
        """Strings, numbers, lists and None, as `--json` prints them; no curves."""
        first = self.settings[0]
        settings = [
            {
                "setting": s.name,
                "values": dict(s.values),
                "runs": [
                    {"path": str(r.overview.path), "seed": r.seed, "scores": dict(r.scores)}
                    for r in s.runs
                ],
                "scores": {name: s.mean(name)._asdict() for name in self.scores},
                "minus_first": {name: s.minus(first, name)._asdict() for name in self.scores},
            }
            for s in self.settings
        ]
        return finite({"verdict": self.verdict, "settings": settings})

    def __repr__(self) -> str:
        runs = sum(len(setting.runs) for setting in self.settings)
        return printable(f"<Comparison of {runs} runs: {self.verdict}>")

    def _repr_html_(self) -> str:
        runs = sum(len(setting.runs) for setting in self.settings)
        differ = self.values()
        return fragment(
            f"{runs} runs compared",
            self.verdict,
            [
                table(*self.table()),
                plots(self.figures),
                table(*differ, left=len(differ[0])),
                table(*self.listed()),
            ],
            soft=[_NOTE],
        )


_NOTE = "Each the mean over seeds ± its standard error, of two seeds or more."


def _mean(values: Sequence[float]) -> Mean:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Mean(math.nan, math.nan, 0)
    error = float(np.std(finite, ddof=1)) / math.sqrt(len(finite)) if len(finite) > 1 else math.nan
    return Mean(float(np.mean(finite)), error, len(finite))


def _sign(score: str) -> int:
    return -1 if better(score) == "max" else 1


def _called(score: str) -> str:
    """A score by its name: of the test split, or the best on the validation split."""
    if is_held_out(score):
        return f"best validation {label(on_batch(score))}"
    return f"test {label(score)}"


def _in_words(score: str, mean: Mean, *, sign: str = "") -> str:
    if not mean.count:
        return "-"
    scale, unit = (100, "%") if is_share(score) else (1, "")
    if not math.isfinite(mean.error) or mean.error == 0:
        text = in_words(score, mean.value)
        return f"+{text}" if sign and mean.value > 0 else text
    digits = decimals_beside(scale * mean.error, most=2 if unit else 8)
    return f"{scale * mean.value:{sign}.{digits}f}{unit} ± {scale * mean.error:.{digits}f}{unit}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _epoch(overview: Overview) -> float:
    """Steps of an epoch."""
    data, samples = overview.tables["data"], RunFolder(overview.path).own_signature().samples
    size = samples if data["batch_size"] == "full" else data["batch_size"]
    padded = overview.tables["train"].get("last_batch") == "pad"
    return Batches(size, pad=padded).steps(samples)
