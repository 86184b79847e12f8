"""Signatures as they are written: `learning_rate: LearningRate`, and no `Annotated[...]`.

An alias is lost once Python has evaluated it, so annotations are read from the source. What they
add of ranges is told under the arguments.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxopt_lab.core.signatures import signature_of

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def shown(function: Callable[..., Any]) -> tuple[str, str | None]:
    """The arguments, and what comes back."""
    written = _written(function)
    parameters = [
        p.replace(
            annotation=_as_written(written.get(p.name) or _alias(p.annotation)),
            default=_default(p.default),
        )
        for p in signature_of(function).parameters.values()
        if p.name not in ("self", "cls", "parent")  # the last is Linen's own
    ]
    return str(inspect.Signature(parameters)), written.get("return")


class _Text:
    """What shows itself as a text in a signature."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _alias(annotation: Any) -> str | None:
    """The name by which `checked` shows an annotation, where it is one."""
    return repr(annotation) if repr(annotation).isidentifier() else None


def _as_written(text: str | None) -> Any:
    return inspect.Parameter.empty if text is None else _Text(text)


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return value
    if not re.search(r" at 0x|^<", repr(value)):  # nobody's address is of use to a reader
        return value
    named = repr(value) != "<factory>" and f"{type(value).__name__}(...)"
    return _Text(getattr(value, "__name__", named or "..."))


def _written(function: Any) -> dict[str, str]:
    """Annotations by argument, and under "return" that of the result; of a class its fields too."""
    found: dict[str, str] = {}
    if isinstance(function, type):
        for kind in reversed(function.__mro__):
            found |= _of_class(kind)
        return found
    tree = _source(inspect.unwrap(function))
    return _of_function(tree) if isinstance(tree, ast.FunctionDef) else {}


def _of_class(kind: type) -> dict[str, str]:
    tree, found = _source(kind), {}
    for node in tree.body if isinstance(tree, ast.ClassDef) else []:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = _short(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found |= _of_function(node)
    return found


def _of_function(node: ast.FunctionDef) -> dict[str, str]:
    a = node.args
    every = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
    found = {arg.arg: _short(arg.annotation) for arg in every if arg and arg.annotation}
    return found | ({"return": _short(node.returns)} if node.returns else {})


def _source(thing: Any) -> ast.stmt | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError):  # none, as of what is built in
        return None


def _short(node: ast.expr) -> str:
    return ast.unparse(_Shorten().visit(node)).strip("'\"")


class _Shorten(ast.NodeTransformer):
    """`Annotated[int, Range(1)]` to `int`, `jax.typing.ArrayLike` to `ArrayLike`."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "Annotated":
            return self.visit(node.slice.elts[0])  # type: ignore[attr-defined]
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Name(node.attr)


def setup(app: "Sphinx") -> dict[str, bool]:
    """Put them in the place of autodoc's own."""

    def process(
        _: "Sphinx", what: str, name: str, obj: Any, options: Any, arguments: str, returns: str
    ) -> tuple[str, str | None] | None:
        if what not in ("function", "class", "method") or not arguments:
            return None
        try:
            arguments, back = shown(obj)
        except (TypeError, ValueError):
            return None
        return arguments, None if what == "class" else back

    app.connect("autodoc-process-signature", process)
    return {"parallel_read_safe": True}
