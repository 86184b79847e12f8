"""A page that shows what was found: one self-contained HTML file, for screens and for paper.

It runs no script, asks nobody for anything, and every text in it is escaped, its control characters
written out.
"""

import base64
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.readable import printable
from jaxopt_lab.run.records.pictures import require_plots, write_figure

TEMPLATES = pathlib.Path(__file__).parent / "pages"


class Picture(NamedTuple):
    """A PNG image within the page: what it shows, and its data as a URI."""

    name: str
    source: str


class Sample(NamedTuple):
    """A sample of data as pictures, with lines of text below."""

    pictures: Sequence[Picture]
    lines: Sequence[str]


class Section(NamedTuple):
    """A part of a page, of which what is there is shown in this order.

    Attributes:
      title: above it.
      plots: pictures of figures, which are dark where the page is.
      head, rows: a table; cells are text.
      left: columns of the table that are words and not numbers, from the left.
      samples: side by side.
      items: a list.
      code: as it is.
      note: below all.
    """

    title: str
    plots: Sequence[Picture] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    left: int = 1
    samples: Sequence[Sample] = ()
    items: Sequence[str] = ()
    code: str = ""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether there is anything to show."""
        return any((self.plots, self.rows, self.samples, self.items, self.code))


def require_pages() -> None:
    """Make sure that pages and their plots can be made: told before the work, not after it.

    Raises:
      InputError: naming the extra where they cannot.
    """
    require_plots()
    require("jinja2", "lab")


def require_page_path(command: str, path: pathlib.Path, *, force: bool = False) -> None:
    """Make sure that a page can be written, and nothing is written over unless `force` is set.

    Raises:
      InputError: where it cannot.
    """
    require_pages()
    if not path.parent.is_dir():
        raise InputError(f"{command}: {path.parent} is no folder; make it, or give another")
    if path.is_dir() or path.suffix != ".html":
        raise InputError(f"{command}: {path} must name an .html file")
    if path.exists() and not force:
        raise InputError(f"{command}: {path} exists: give another --output, or --force")


def fill_page(
    *,
    title: str,
    verdict: str,
    figures: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    how: Sequence[str] = (),
) -> bytes:
    """The page.

    Args:
      title: of it.
      verdict: what was found, in words.
      figures: the numbers to remember, (value, name).
      sections: those that hold nothing are left out.
      how: lines below the verdict.

    Returns:
      HTML in UTF-8.
    """
    import jinja2  # here: the command line must not wait for it

    environment = jinja2.Environment(
        autoescape=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        title=title,
        verdict=verdict,
        figures=figures,
        how=how,
        sections=[section for section in sections if section.holds],
    )
    return page.encode()


def drawn_into(plots: pathlib.Path, figures: Mapping[str, Any]) -> list[Picture]:
    """Save figures as `plots/name.png`, and give them as pictures of a page."""
    return [
        picture(name.replace("_", " "), write_figure(plots / f"{name}.png", figure))
        for name, figure in figures.items()
    ]


def picture(name: str, png: bytes) -> Picture:
    """A picture of the bytes of a PNG file."""
    return Picture(name, f"data:image/png;base64,{base64.b64encode(png).decode()}")
