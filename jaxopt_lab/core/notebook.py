"""What a notebook shows of an object: a fragment of HTML, in which every text is escaped.

It has the colors of its page, light or dark, asks nobody for anything, and its style reaches
nothing else. Where a notebook takes styles away, as of one that is not trusted, it still reads.
"""

import base64
import html
from collections.abc import Iterable, Sequence

from jaxopt_lab.core.readable import printable

STYLE = """
.jaxopt-lab { font: 13px/1.45 system-ui, sans-serif; max-width: 60rem; margin: .3rem 0; overflow-wrap: anywhere; }
.jaxopt-lab .title { font-size: 15px; font-weight: 600; }
.jaxopt-lab .lead { margin: .15rem 0 0; }
.jaxopt-lab .soft { opacity: .7; margin: .15rem 0 0; }
.jaxopt-lab .pictures { display: flex; flex-wrap: wrap; gap: .7rem; margin: .6rem 0; align-items: flex-end; }
.jaxopt-lab .pictures figure { margin: 0; font-size: 12px; line-height: 1.3; max-width: 100%; }
.jaxopt-lab .pictures img { display: block; max-width: 100%; height: auto; margin: 0; }
.jaxopt-lab img.plot { background: #fff; border-radius: 6px; }
.jaxopt-lab img.pixels { image-rendering: pixelated; }
.jaxopt-lab svg { display: block; max-width: 100%; height: auto; }
.jaxopt-lab .wide { overflow-x: auto; margin: .6rem 0; }
.jaxopt-lab .wide table { border-collapse: collapse; border: none; font-size: 13px; margin: 0; color: inherit; }
.jaxopt-lab .wide tr { background: none !important; }
.jaxopt-lab .wide td, .jaxopt-lab .wide th { text-align: left; vertical-align: top; border: none; border-bottom: 1px solid rgba(128, 128, 128, .3); padding: .15rem 1.1rem .15rem 0; background: none; max-width: 34rem; white-space: normal; }
.jaxopt-lab .wide th { font-weight: 600; }
.jaxopt-lab .wide .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.jaxopt-lab pre { font: 12px/1.4 ui-monospace, monospace; color: inherit; background: rgba(128, 128, 128, .1); border: none; border-radius: 6px; padding: .6rem .8rem; margin: .5rem 0; max-height: 26rem; overflow: auto; white-space: pre; }
"""  # noqa: E501 - a rule a line


def text(value: object) -> str:
    """A text as HTML shows it, whatever is in it: escaped, its control characters written out."""
    return html.escape(printable(str(value)))


def fragment(title: str, lead: str, parts: Iterable[str], *, soft: Iterable[str] = ()) -> str:
    """The fragment.

    Args:
      title: of it.
      lead: what there is to say first; "" for nothing.
      parts: HTML, as the functions here give it.
      soft: lines below the lead.
    """
    lines = [f'<div class="title">{text(title)}</div>']
    lines += [f'<p class="lead">{text(lead)}</p>'] if lead else []
    lines += map(note, soft)
    whole = "\n".join([*lines, *filter(None, parts)])
    return f'<div class="jaxopt-lab"><style>{STYLE}</style>\n{whole}\n</div>'


def note(words: str) -> str:
    """A line that is not so loud; "" for none."""
    return f'<p class="soft">{text(words)}</p>' if words else ""


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """A table.

    Args:
      head: of its columns; empty for none.
      rows: of cells.
      left: how many columns are words and not numbers, from the left.
    """

    def row(cells: Sequence[object], kind: str) -> str:
        number = ' class="number"'
        shown = (
            f"<{kind}{number if i >= left else ''}>{text(cell)}</{kind}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    lines = [row(cells, "td") for cells in rows]
    if not lines:
        return ""
    top = f"<thead>{row(head, 'th')}</thead>" if head else ""
    return f'<div class="wide"><table>{top}<tbody>{"".join(lines)}</tbody></table></div>'


def pictures(shown: Iterable[str]) -> str:
    """Pictures side by side."""
    joined = "".join(f"<figure>{one}</figure>" for one in shown)
    return f'<div class="pictures">{joined}</div>' if joined else ""


def picture(name: str, png: bytes, *, width: int, pixels: bool = False, below: str = "") -> str:
    """A picture of the bytes of a PNG file.

    Args:
      name: what it shows, for those who do not see it.
      png: of more pixels than it takes on the page, or few large `pixels`.
      width: on the page.
      pixels: whether each pixel is to be seen.
      below: a line of text.
    """
    data = base64.b64encode(png).decode()
    kind = "pixels" if pixels else "plot"
    line = f"<figcaption>{text(below)}</figcaption>" if below else ""
    source = f"data:image/png;base64,{data}"
    return f'<img class="{kind}" alt="{text(name)}" width="{width}" src="{source}"/>{line}'
