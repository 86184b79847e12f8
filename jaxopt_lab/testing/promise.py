"""Promises looked at one by one, and told together.

A check is a function that says what is to be looked at, a `Plan`; `checking` makes of it one that
looks. It raises one `AssertionError` with all that is broken, or returns a `Report`.
"""

import functools
import inspect
import pathlib
import traceback
import unittest
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.readable import readable
from jaxopt_lab.core.registry import nearest

P = ParamSpec("P")
MOST_LETTERS = 400  # of what was found; the errors of JAX are essays


class NotLookedAtError(Exception):
    """A promise cannot be looked at; the text says why, and what would have to be given."""


@dataclass(frozen=True)
class Promise:
    """One thing that a transformation, schedule, augmentation or model keeps.

    Attributes:
      name: by which it is skipped.
      what: holds, one sentence.
      why: what goes wrong for those who rely on it, one sentence.
      mend: what to change where it is broken, one sentence.
      needs: the promises without which it cannot be looked at.
      look: raises where it is broken, given what a check looks at.
    """

    name: str
    what: str
    why: str
    mend: str
    needs: tuple[str, ...]
    look: Callable[[Any], None]


def promise(why: str, mend: str, *needs: str) -> Callable[[Callable[[Any], None]], Promise]:
    """A function that raises where something is broken, as a promise of its name."""
    return lambda look: Promise(look.__name__, look.__doc__ or "", why, mend, needs, look)


class Broken(NamedTuple):
    """A promise that is not kept, and what was found: the value, the leaf, or what was raised."""

    name: str
    found: str
    why: str
    mend: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}\n   Why it matters: {self.why}\n   To mend: {self.mend}"


@dataclass(frozen=True)
class Report:
    """What came of a check; `print` it, or compare its parts.

    Attributes:
      name: of what was looked at.
      held: the promises that hold.
      broken: those that do not.
      skipped: those that were not asked for, with the reason that was given.
      needless: those of the skipped ones that hold all the same.
      not_looked_at: those that could not be tried, with the reason.
    """

    name: str
    held: tuple[str, ...]
    broken: tuple[Broken, ...]
    skipped: Mapping[str, str]
    needless: tuple[str, ...]
    not_looked_at: Mapping[str, str]

    def __str__(self) -> str:
        asked = len(self.held) + len(self.broken)
        if self.broken:
            each = [f"{i}. {broken}" for i, broken in enumerate(self.broken, 1)]
            head = f"{self.name} breaks {len(self.broken)} of {asked} promises."
            lines = [head, "", *each, ""]
        else:
            lines = [f"{self.name} keeps all {asked} promises that were looked at."]
        lines += [f"Held: {', '.join(self.held)}."] if self.held else []
        lines += [f"Skipped: {name}, because: {why}" for name, why in self.skipped.items()]
        lines += [f"Skipped, and it holds: {name}; leave the skip out." for name in self.needless]
        lines += [f"Not looked at: {name}, {why}" for name, why in self.not_looked_at.items()]
        return "\n".join(lines)


class BrokenPromisesError(AssertionError):
    """What a check raises: its text says all that is broken.

    Attributes:
      report: the `Report`, with what held too.
    """

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report


class Case:
    """One promise of a check, to be called in a test of its own.

    A promise that is skipped or cannot be looked at raises `unittest.SkipTest`, which pytest knows.
    """

    def __init__(self, plan: "Plan", promise: Promise):
        self._plan, self._promise = plan, promise
        self.__name__ = promise.name  # by which pytest names the test

    def __repr__(self) -> str:
        return self.__name__

    def __call__(self) -> None:
        if self.__name__ in self._plan.skip:
            raise unittest.SkipTest(self._plan.skip[self.__name__])
        found = _look(self._promise, self._plan.subject)
        if isinstance(found, NotLookedAtError):
            raise unittest.SkipTest(str(found))
        if found:
            raise AssertionError(f"{self._plan.name} breaks a promise.\n\n{found}")


@dataclass(frozen=True)
class Plan:
    """What a check is to look at.

    Attributes:
      name: of what is looked at, for people.
      subject: what every promise is given.
      skip: promises that are not asked for, with the reasons.
    """

    name: str
    subject: Any
    skip: Mapping[str, str]


def plan_of(thing: Any, subject: Any, name: str | None, skip: Mapping[str, str] | None) -> Plan:
    """The plan for a thing, which is told by its own name unless another is given."""
    told = name or getattr(thing, "__name__", None) or type(thing).__name__
    return Plan(told, subject, skip or {})


def checking(
    promises: tuple[Promise, ...],
) -> Callable[[Callable[P, Plan]], Callable[P, Report]]:
    """A function that gives a plan, as a check of these promises that returns its report."""

    def decorate(plan: Callable[P, Plan]) -> Callable[P, Report]:
        def planned(*args: P.args, **kwargs: P.kwargs) -> Plan:
            made = plan(*args, **kwargs)
            _require_reasons(plan.__name__, made.skip, promises)
            return made

        @functools.wraps(plan)
        def check(*args: P.args, **kwargs: P.kwargs) -> Report:
            report = look(planned(*args, **kwargs), promises)
            if report.broken:
                raise BrokenPromisesError(report)
            return report

        signature = inspect.signature(plan).replace(return_annotation=Report)
        annotations = {**plan.__annotations__, "return": Report}
        vars(check).update(
            __signature__=signature, __annotations__=annotations, planned=planned, promises=promises
        )
        return check

    return decorate


def look(plan: Plan, promises: tuple[Promise, ...]) -> Report:
    """Look at every promise, and raise nothing."""
    held, broken, needless, untried = [], [], [], {}
    gone: dict[str, str] = {}  # what a promise that is not kept takes with it, and which that is
    for each in promises:
        cause = next((gone[name] for name in each.needs if name in gone), None)
        found = NotLookedAtError(f"it needs {cause}, which is broken") if cause else None
        found = found or _look(each, plan.subject)
        if cause or isinstance(found, Broken):
            gone[each.name] = cause or each.name
        if each.name in plan.skip:
            needless += [] if found else [each.name]
        elif isinstance(found, NotLookedAtError):
            untried[each.name] = str(found)
        elif found:
            broken.append(found)
        else:
            held.append(each.name)
    return Report(plan.name, tuple(held), tuple(broken), dict(plan.skip), tuple(needless), untried)


def cases(check: Callable[..., Report], *args: Any, **kwargs: Any) -> list[Case]:
    """The promises of a check, one by one, for one test each.

        @pytest.mark.parametrize("keeps", testing.cases(testing.check_transformation, my_adam))
        def test_my_adam(keeps):
            keeps()

    Args:
      check: one of the checks of this room.
      args: what it is given.
      kwargs: what it is given by name.

    Returns:
      Functions without arguments, each with the `__name__` of its promise. One that is skipped or
      cannot be looked at raises `unittest.SkipTest`.

    Raises:
      ArgumentError: what the check raises before it looks.
    """
    plan = vars(check)["planned"](*args, **kwargs)
    return [Case(plan, each) for each in promises(check)]


def promises(check: Callable[..., Report]) -> tuple[Promise, ...]:
    """The promises that a check looks at, in their order: name, why it matters, how to mend it."""
    return vars(check)["promises"]


def _look(promise: Promise, subject: Any) -> Broken | NotLookedAtError | None:
    """What is broken; None where the promise holds."""
    try:
        promise.look(subject)
    except NotLookedAtError as reason:
        return reason
    except AssertionError as error:
        found = str(error)
    except Exception as error:  # of code that somebody wrote: whatever it raises is the finding
        first, _, rest = str(error).strip().partition("\n")
        text = f"{first} {rest}" if first.endswith(":") else first
        found = f"{_where(error)}raises {type(error).__name__}: {text}".rstrip(": ")
    else:
        return None
    found = readable(" ".join(found.split()))
    cut = found if len(found) <= MOST_LETTERS else f"{found[:MOST_LETTERS]} ..."
    return Broken(promise.name, cut, promise.why, promise.mend)


def _where(error: Exception) -> str:
    """The innermost line that is neither of this package nor of JAX: `"my_adam.py:12 "`."""
    here = pathlib.Path(__file__).parents[1]
    files = [
        (pathlib.Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)
    ]
    own = [f for f in files if here not in f[0].parents and not {"jax", "numpy"} & set(f[0].parts)]
    return f"{own[-1][0].name}:{own[-1][1]} " if own else ""


def _require_reasons(check: str, skip: Mapping[str, str], promises: tuple[Promise, ...]) -> None:
    """Make sure that what is skipped is a promise, and that it is said why.

    Raises:
      ArgumentError: where it is not.
    """
    names = [each.name for each in promises]
    for name, reason in skip.items():
        if name not in names:
            text = f"has no promise {name!r}{nearest(str(name), names)}; one of {', '.join(names)}"
            raise ArgumentError(check, {"skip": text})
        if not isinstance(reason, str) or not reason.strip():
            text = f"must say why {name!r} is left out, in words, got {reason!r}"
            raise ArgumentError(check, {"skip": text})
