"""`jaxopt-lab list`: every name that a configuration or a command may use."""

import functools
import inspect

from jaxopt_lab.augment.corruptions import CORRUPTIONS
from jaxopt_lab.config.dump import toml_value
from jaxopt_lab.config.tables import BRINGABLE, FAMILIES, Family
from jaxopt_lab.config.values import expected
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.losses import METRICS
from jaxopt_lab.run.terminal.progress import Progress

# Of what is no table of a file the names alone are used, with every argument at its default.
ELSEWHERE = {
    "metric": Family(METRICS, leading=2),
    "initializer": BRINGABLE["initializer"],
    "corruptions": Family(CORRUPTIONS, bare=True),
}
TITLES = {
    "metric": "metric: of every run, for a monitor",
    "initializer": "initializer: model.init",
    "corruptions": "evaluate --corruptions",
}
LISTED = FAMILIES | ELSEWHERE


def _plural(name: str) -> str:
    """The name of a table for several of its functions, as a person may call it."""
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}{'es' * name.endswith('s') or 's'}"


_PLURALS = {_plural(name): name for name in LISTED}


def list_names(family: str | None, terminal: Progress) -> None:
    """Print the names of one family or of all, with their arguments and defaults.

    Raises:
      InputError: for an unknown family.
    """
    family = _PLURALS.get(str(family), family)
    if family is not None and family not in LISTED:
        raise InputError(
            f"list: unknown family {family!r}{nearest(family, LISTED)}; one of {', '.join(LISTED)}"
        )
    for name in [family] if family else LISTED:
        rows = []
        for entry, function in LISTED[name].functions.items():
            inner = function.func if isinstance(function, functools.partial) else function
            about = (inspect.getdoc(inner) or "").partition("\n")[0]
            rows.append((entry, about))
            for key, argument in LISTED[name].arguments(entry).items():
                text = "required" if argument.required else default_text(argument.default)
                rows.append((f"  {key} = {text}", expected(argument.hint)))
        terminal.columns(TITLES.get(name, f"[{name}]"), ("name", "what it is, what it takes"), rows)


def default_text(value: object) -> str:
    """The default of an argument as a file would give it."""
    if value is inspect.Parameter.empty:
        return "(rest of the run)"
    if value is None:
        return "(none)"
    return toml_value(list(value) if isinstance(value, tuple) else value)
