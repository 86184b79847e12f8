"""Equations as MathML, which browsers draw themselves: no script, no font and no other host."""

from typing import Any

from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import nodes

_CONVERTER = LatexToMathML(fancy_error=False)
_LOGGER = logging.getLogger(__name__)


def drawn(node: nodes.Node, *, displaystyle: bool) -> str:
    """The equation of a node; what is no LaTeX is a warning, and so ends a build with -W."""
    try:
        return _CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle)
    except LatexError as error:
        _LOGGER.warning("%s: %s", error, node.astext(), location=node)
        return ""


def inline(translator: Any, node: nodes.math) -> None:
    """`$...$` within a line."""
    translator.body.append(drawn(node, displaystyle=False))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """`$$...$$`; it scrolls by itself where a screen is narrower."""
    translator.body.append(f'<div class="equation">{drawn(node, displaystyle=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """What `sphinx.ext.mathjax` does for those who may fetch a script."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
