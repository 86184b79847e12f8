"""The site holds all that is public, and asks no other host for anything."""

import html.parser
import inspect
import pathlib
import re
import subprocess
import sys

import equations
import pytest
from public import symbols
from signatures import shown
from toml_reference import reference, told_arguments

import jaxopt_lab
from jaxopt_lab.config.tables import BRINGABLE, FAMILIES
from jaxopt_lab.losses import LOSSES, METRICS, PENALTIES
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.schedules import SCHEDULES
from jaxopt_lab.second_order import SECOND_ORDER

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODULES = [
    module
    for page in sorted((DOCS / "api").glob("*.md"))
    for module in re.findall(r"^```\{family\} (\S+)$", page.read_text(), re.MULTILINE)
]


def test_every_family_is_on_a_page():
    families = {f"jaxopt_lab.{name}" for name in jaxopt_lab._FAMILIES} | {"jaxopt_lab.testing"}
    parts = {"jaxopt_lab.compat": {"jaxopt_lab.compat.keras", "jaxopt_lab.compat.torch"}}
    wanted = {part for family in families for part in parts.get(family, {family})}
    assert {"jaxopt_lab"} | wanted <= set(MODULES) and len(MODULES) == len(set(MODULES))


@pytest.mark.parametrize("module", MODULES)
def test_every_name_has_a_docstring_and_a_short_signature(module):
    for path, value in symbols(module).items():
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), path
        if inspect.isroutine(value):
            arguments, _ = shown(value)
            assert "Annotated" not in arguments and " at 0x" not in arguments, path


def test_every_method_has_its_equation_and_every_equation_its_method():
    tables = {
        "optimizers": [*OPTIMIZERS, "sam"],
        "second_order": SECOND_ORDER,
        "schedules": [*SCHEDULES, "join", "scale_by"],
        "losses": [*LOSSES, *METRICS, *PENALTIES],
    }
    wanted = {f"{family}.{name}" for family, names in tables.items() for name in names}
    there = equations.read().keys()
    public = {path.removeprefix("jaxopt_lab.") for module in MODULES for path in symbols(module)}
    assert wanted <= there and there <= public


def test_the_reference_has_every_table_every_name_and_every_argument():
    chapters = dict(re.findall(r"^## `\[+(\w+)\]+`\n(.*?)(?=^## |\Z)", reference(), re.M | re.S))
    for family, chapter in ((name, chapters[name]) for name in FAMILIES):
        entries = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", chapter, re.M | re.S))
        assert list(entries) == list(FAMILIES[family].functions)
        for name, entry in entries.items():
            told = re.findall(r"^\| `(\w+)` \|", entry, re.M)
            assert told == list(FAMILIES[family].arguments(name)), name
    assert set(re.findall(r"^\| `(\w+)` \|", reference(), re.M)) >= set(
        BRINGABLE["initializer"].functions
    )


def test_what_a_docstring_says_of_its_arguments():
    about = "1.\n\nArgs:\n  a, b: of both,\n    in two lines: yes.\n  c: last.\n\nReturns:\n  x: no"
    both = "of both, in two lines: yes."
    assert told_arguments(about) == {"a": both, "b": both, "c": "last."}


class Asked(html.parser.HTMLParser):
    """What a page asks for as it is read; a link that a reader follows is none."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        names = {"link": ["href"], "a": []}.get(tag, ["src", "srcset", "data", "poster", "href"])
        self.found += [given[name] or "" for name in names if name in given]


@pytest.fixture(scope="module", name="built")
def _built(tmp_path_factory):
    """The site, built as its readers build it: a warning is an error."""
    pytest.importorskip("sphinx_book_theme", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-d", folder / "trees", DOCS]
    subprocess.run([*command, folder / "site"], check=True)
    return folder / "site"


OTHER_HOST = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)


@pytest.mark.slow
def test_no_page_asks_another_host(built):
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        asked = Asked()
        asked.feed(page.read_text())
        assert asked.found and not list(filter(OTHER_HOST.match, asked.found)), page
    for sheet in built.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", sheet.read_text()):
            assert not OTHER_HOST.match(address), sheet


@pytest.mark.slow
def test_every_public_name_is_in_the_inventory(built):
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((built / "objects.inv").read_bytes(), uri="")
    there = {name for kind, names in inventory.data.items() if kind[:3] == "py:" for name in names}
    wanted = {path for module in MODULES for path in symbols(module)}
    assert wanted <= there, wanted - there


@pytest.mark.slow
def test_equations_are_drawn(built):
    page = (built / "api" / "optimizers.html").read_text()
    assert page.count('<math display="block"') >= len(OPTIMIZERS)
    assert "MathJax" not in page
