"""Names of one's own in a configuration: brought by a `with` block, never by the file."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxopt_lab.config.paths import own_fields
from jaxopt_lab.config.tables import BRINGABLE, FAMILIES
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.own import own, with_own
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.signatures import signature_of

Function = Callable[..., Any]
Extension = Mapping[str, Iterable[Function] | Mapping[str, Function]]
"""`{"model": [my_net], "loss": {"my_loss": function}}`, by the tables of a configuration."""


def extended(
    extension: Extension, module: str | None = None
) -> contextlib.AbstractContextManager[None]:
    """Names of one's own in configurations, while it is entered.

    What reads a configuration with them, trains it or looks at a run of it is called inside:

        with jaxopt_lab.extended({"model": [my_net]}):
            jaxopt_lab.train("my_net.toml", "runs/mine")

    Such a function is bound, checked, listed and swept as those of the house: its arguments are
    what a file gives, its annotations their ranges. It holds for the thread that enters it.

    Args:
      extension: for each table a list of functions, or `{name: function}`; a class or a
        `functools.partial` is as good. "model": called with `outputs=`, and `rngs=` or `key=`
        where it takes that; "loss": `(outputs, labels, ...) -> (B,)`; "penalty":
        `(params, ...) -> scalar`; of the others a function of the file's arguments. It gives what
        `data.as_dataset` takes ("data"), a `GradientTransformation` ("optimizer", "control"),
        `step -> scalar` ("schedule"), `(key, image) -> image` ("augment"),
        `(key, batch, loss_fn) -> batch` ("adversary"), `init(key, shape, dtype)`
        ("initializer"). `jaxopt_lab.declare` says more of one.
      module: path of the file that they came by, for the records of runs; None for none.

    Returns:
      A context manager.

    Raises:
      InputError: for a table that there is not, a name that is the house's or no identifier, or a
        function that no file could call.
    """
    if not isinstance(extension, Mapping):
        raise InputError(f'extend: must be a mapping, {{"model": [my_net]}}, got {extension!r}')
    brought = {}
    for table, entries in extension.items():
        if table not in BRINGABLE:
            known = ", ".join(BRINGABLE)
            text = f"extend: unknown table {table!r}{nearest(str(table), BRINGABLE)}"
            raise InputError(f"{text}; one of {known}")
        brought[table] = {}
        for name, function in _named(table, entries):
            _check(table, name, function, brought[table])
            brought[table][name] = function
    return with_own(brought, module)


def own_names(tables: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The table and the name of each function of one's own in a configuration's tables."""
    found = set()
    for table in FAMILIES:
        entries = tables.get(table, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            within = [value for value in entry.values() if isinstance(value, dict)]
            named = [(table, entry.get("name")), *(("schedule", v.get("name")) for v in within)]
            named += [("initializer", v) for v in entry.values() if isinstance(v, str)]
            found |= {(family, name) for family, name in named if name in own(family)}
    return found


def _named(table: str, entries: Any) -> Iterable[tuple[Any, Any]]:
    """Each name and its function."""
    if isinstance(entries, Mapping):
        return entries.items()
    if not isinstance(entries, list | tuple):
        raise InputError(
            f"extend: {table!r} must be a list of functions or {{name: function}}, got {entries!r}"
        )
    return [(getattr(f, "__name__", None), f) for f in entries]


def _check(table: str, name: Any, function: Any, beside: Mapping[str, Function]) -> None:
    """Refuse what could not be named, or not be called."""
    place = f"extend: {table!r}"
    if not callable(function):
        raise InputError(f"{place}: {name or function!r} must be a function or a class")
    if not (isinstance(name, str) and name.isidentifier()):
        remedy = f'give it one, {{"{table}": {{"my_name": function}}}}'
        raise InputError(f"{place}: {name or function!r} is no name: {remedy}")
    if name in BRINGABLE[table].table:
        raise InputError(f"{place}: {name!r} is a name of the house: give yours another")
    if name in beside or own(table).get(name, function) is not function:
        raise InputError(f"{place}: {name!r} is there twice: give one of them another name")
    _check_signature(place, table, name, function)


def _check_signature(place: str, table: str, name: str, function: Function) -> None:
    family, positions = BRINGABLE[table], BRINGABLE[table].positions(function)
    try:
        signature = signature_of(function)
    except (TypeError, ValueError):
        raise InputError(f"{place}: {name} has no signature; wrap it in a function") from None
    try:
        signature.bind_partial(*[None] * positions)
    except TypeError:
        text = f"must take {positions} arguments by position before those of a file"
        raise InputError(f"{place}: {name}{signature} {text}") from None
    given = family.given | declared(function).given.keys()
    takes_all = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if table == "model" and not (takes_all or "outputs" in signature.parameters):
        raise InputError(
            f"{place}: {name}{signature} must take `outputs`, how many numbers it gives a sample"
        )
    with with_own({table: {name: function}}):
        from_file = family.arguments(name)
    if taken := own_fields(table).keys() & from_file.keys():
        text = f"is a key of [{table}] itself: give the argument another name"
        raise InputError(f"{place}: {name}: {min(taken)!r} {text}")
    for p in list(signature.parameters.values())[positions:]:
        needed = p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        if p.kind is p.POSITIONAL_ONLY or (
            needed and p.name not in from_file and p.name not in given
        ):
            raise InputError(
                f"{place}: {name} needs {p.name!r}, which no file can give: give it a default"
            )
