"""Every page tells the truth: its blocks run as they are printed, and its links lead somewhere."""

import re
import subprocess
import sys
import tomllib

import pages
import pytest
from pages import PAGES, ROOT, blocks, name

from jaxopt_lab.config.checks import parse_linear_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import load_sweep, parse_sweep

QUICK = ["README.md"]
"""Whose Python blocks take seconds; with `-m slow` those of all pages run, and their commands."""

RUN = {name(page) for page in PAGES if any(not b.reason for b in blocks(page, "python", "sh"))}


def whole(tables):
    """A part of a configuration within one that has the rest."""
    rest = tomllib.loads((ROOT / "configs" / "digits_mlp.toml").read_text())
    return rest | tables


@pytest.mark.parametrize("page", QUICK)
def test_python_blocks_run(page, tmp_path):
    pages.run(page, tmp_path, "python", "toml")


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(RUN))
def test_every_block_and_command_runs(page, tmp_path):
    printed = pages.run(page, tmp_path)
    assert not [
        line for block in blocks(page, "text") for line in pages.unprinted(block.text, printed)
    ]


@pytest.mark.parametrize(
    "block",
    [pytest.param(b, id=f"{name(p)}-{i}") for p in PAGES for i, b in enumerate(blocks(p, "toml"))],
)
def test_configurations_are_valid(block):
    tables = tomllib.loads(block.text)
    if block.file:
        return  # with names of its own, and its page runs it
    if "sweep" in tables:
        parse_sweep(whole(tables), say=print)
    else:
        parse_config(whole(tables))


def test_what_cannot_run_here_says_why():
    """Nothing else is left out, and no block is of a language that nothing runs."""
    found = [(name(page), block.reason) for page in PAGES for block in blocks(page) if block.reason]
    assert sorted(found) == [
        ("CONTRIBUTING.md", "it is the suite itself"),
        ("README.md", ".ci/run does, in an environment of its own"),
        ("README.md", "SOURCE is the address of the repository"),
        ("docs/house.md", ".ci/run does, in an environment of its own"),
        ("docs/house.md", "tests/test_site.py builds the site"),
        ("docs/own_data.md", "needs the published archives of CIFAR-10"),
        ("docs/quickstart_launch.md", ".ci/run does, in an environment of its own"),
        ("docs/several_hosts.md", "it waits for the other host"),
        ("docs/several_hosts.md", "needs SLURM, or a TPU pod"),
    ]
    for page in PAGES:
        fences = re.findall(r"^```", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), name(page)


def test_pages_make_folders_of_their_own():
    """Whoever reads one page after another does so in one folder."""
    makes = re.compile(r"""--run-dir (\S+)|(?:train|sweep)\(\w+, "([^"]+)", progress""")
    made = [
        a or b
        for p in PAGES
        for c in blocks(p, "python", "sh")
        if not c.reason
        for a, b in makes.findall(c.text)
    ]
    assert len(made) > 10 and len(set(made)) == len(made), sorted(made)


LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$|^\$\$.*?\$\$$", "", page.read_text(), flags=re.M | re.S)
    assert not [line for line in text.splitlines() if len(line) > 128 and line[0] not in "|!"]
    for target in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_it_names_of_the_repository_is_there(page):
    pattern = r"\b(?:configs|scripts|tests)/[\w/]+\.(?:toml|py|ipynb|txt)"
    named = re.findall(pattern, page.read_text())
    assert not [path for path in named if not (ROOT / path).exists()]


def test_pictures_are_small():
    assert all(path.stat().st_size < 200_000 for path in (ROOT / "docs/figures").glob("*.png"))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_is_valid_and_says_what_to_expect(path):
    text = path.read_text()
    tables = tomllib.loads(text)
    command = next((name for name in ("linear", "sweep") if name in tables), "train")
    if command == "sweep":
        load_sweep(path)
    else:
        parse = parse_linear_config if command == "linear" else parse_config
        parse(tables, source=path.name)
    header = text[: text.index("\nseed = ")]
    assert f"jaxopt-lab {command} configs/{path.name}" in header
    if tables["data"].get("reconstruct"):
        assert re.search(r"loss \d", header), "the header says the loss to expect"
    else:
        assert re.search(r"\d %", header), "the header says the accuracy to expect"


EXTRAS = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # an import of it is an error
exec(sys.argv[1], {"__name__": "__main__"})
"""


def test_the_first_block_needs_no_extra():
    """`pip install -e .` alone is enough, as the README says."""
    extras = ["matplotlib", "jinja2", "sklearn", "PIL", "pyarrow", "grain", "equinox"]
    first = blocks("README.md", "python")[0].text
    subprocess.run([sys.executable, "-W", "error", "-c", EXTRAS, first, *extras], check=True)
