"""Whatever a file, a class, a column or a folder is called, pages and terminals show it as text."""

import contextlib
import html.parser

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab import cli, data
from jaxopt_lab.run.commands.find_lr import find_lr

CONTROLS = "\x1b[31m\x07\x7f\x9b\u202e\u2028"
EVIL = f"<img src=x onerror=alert(1)><script>\"'&{CONTROLS}"
BARE = {c for c in CONTROLS if not c.isascii() or ord(c) < 32 or ord(c) == 127}


class Reader(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.sources = set(), set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources |= {value.partition(",")[0] for name, value in attrs if name == "src"}


def require_text_only(page):
    """The name is there, and no tag, attribute or control character of it."""
    found = Reader(page)
    assert "&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;" in page
    assert not found.tags & {"script", "iframe", "object", "embed", "a", "form", "link"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.sources <= {"data:image/png;base64"}
    require_no_controls(page)


def require_no_controls(text):
    assert not BARE & set(text)


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory):
    """A table whose file, columns and classes have that name, and runs in folders of that name."""
    folder = tmp_path_factory.mktemp("place") / EVIL
    folder.mkdir()
    x = np.random.default_rng(0).normal(size=(60, 2))
    quoted = '"' + EVIL.replace('"', '""') + '"'
    lines = [f"{a:.3f},{b:.3f},{quoted if a > 0 else 'no'}" for a, b in x]
    table = folder / f"{EVIL}.csv"
    table.write_text("\n".join([f"a,{quoted},{quoted.replace('img', 'img ')}", *lines]))
    config = jaxopt_lab.Config.of(
        data={
            "name": "table",
            "path": table,
            "target": EVIL.replace("img", "img "),
            "batch_size": 16,
        },
        model={"name": "mlp", "hidden": [4]},
        optimizer={"name": "adam", "learning_rate": 0.01},
        train={"epochs": 1},
    )
    first = folder / f"{EVIL}.toml"
    first.write_text(config.to_toml())
    assert jaxopt_lab.load_config(first) == config
    swept = folder / "sweep.toml"
    swept.write_text(config.to_toml() + "\n[sweep]\nseeds = 2\n")
    return folder, first, swept


@pytest.fixture(scope="module", name="runs")
def _runs(made):
    folder, config, _ = made
    other = jaxopt_lab.load_config(config, ["seed=1"])
    result = jaxopt_lab.train(config, folder / "a", progress=False)
    jaxopt_lab.train(other, folder / f"{EVIL}-b", progress=False)
    return result


@pytest.mark.parametrize(
    ("words", "page"),
    [
        pytest.param(["diagnose", "a"], "a/diagnosis.html", marks=pytest.mark.slow),
        (["compare", "a", f"{EVIL}-b", "--output", "both.html"], "both.html"),
        (["show-data", f"{EVIL}.toml", "--output", "data.png"], None),
        (["verify", "a"], None),
        (["verify", "a", f"{EVIL}-b"], None),
        (["runs", "."], None),
        (["evaluate", "a", f"{EVIL}-b"], None),
        (["prune", ".", "--keep", "last", "--yes"], None),
        (["export", "a", "--to", "npz", "--output", f"{EVIL}.npz"], None),
        (["train", f"{EVIL}.toml", "--print-config"], None),
        (["train", f"{EVIL}.toml", "--dry-run"], None),
        pytest.param(
            ["train", f"{EVIL}.toml", "--run-dir", f"{EVIL}-run"],
            f"{EVIL}-run/report.html",
            marks=pytest.mark.slow,
        ),
        (["train", "--resume", f"{EVIL}-gone"], None),
        (["train", f"{EVIL}-gone.toml"], None),
        (["train", f"{EVIL}.toml", "--set", f"{EVIL}=1"], None),
        (["train", f"{EVIL}.toml", f"--{EVIL}"], None),
        (["train", f"{EVIL}.toml", "--module", f"{EVIL}.py"], None),
        pytest.param(
            ["sweep", "sweep.toml", "--run-dir", f"{EVIL}-s"],
            f"{EVIL}-s/report.html",
            marks=pytest.mark.slow,
        ),
        (["list", EVIL], None),
        ([EVIL], None),
    ],
    ids=lambda v: v[0].removeprefix(EVIL) if isinstance(v, list) else "",
)
def test_a_command(words, page, made, runs, monkeypatch, capsys):
    monkeypatch.chdir(made[0])
    # argparse ends what it refuses; 1 says that two runs are not the same.
    with contextlib.suppress(SystemExit):
        assert cli.main(words) in (0, 1, 2)
    said = capsys.readouterr()
    assert said.out + said.err
    require_no_controls(said.out + said.err)
    if page:
        require_text_only((made[0] / page).read_text())


def test_the_report_and_what_a_notebook_shows(made, runs):
    folder, config, _ = made
    require_text_only((folder / "a" / "report.html").read_text())
    shown = [
        runs,
        jaxopt_lab.load_run(folder / "a"),
        jaxopt_lab.load_config(config),
        data.table(folder / f"{EVIL}.csv", target=EVIL.replace("img", "img ")),
    ]
    for each in shown:
        require_text_only(each._repr_html_())
        require_no_controls(repr(each))


@pytest.mark.slow
def test_what_else_a_notebook_shows(made, runs):
    folder, config, plan = made
    swept = jaxopt_lab.sweep(plan, folder / "s", progress=False)
    compared = jaxopt_lab.compare([folder / "a", folder / f"{EVIL}-b"])
    found = find_lr(jaxopt_lab.load_config(config), steps=20, seeds=1)
    for each in (swept, swept.ensemble(2), compared, found):
        page = each._repr_html_()
        assert not Reader(page).tags & {"script"}
        require_no_controls(page + repr(each))
