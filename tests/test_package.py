"""What a wheel and a source distribution bring, and what type checkers know of the package."""

import os
import pathlib
import subprocess
import sys
import tarfile
import tomllib
import venv

import pytest

import jaxopt_lab

ROOT = pathlib.Path(__file__).parents[1]


def test_the_version_is_said_once():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {jaxopt_lab.__version__}\n" in citation
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and project["dynamic"] == ["version"]


@pytest.mark.slow
def test_every_public_type_is_known():
    """Nothing is left to what a type checker infers: `pyright --verifytypes`."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "jaxopt_lab", "--ignoreexternal"]
    done = subprocess.run(command, cwd=ROOT.anchor, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.fixture(scope="module", name="built")
def _built(tmp_path_factory):
    """The source distribution, and the wheel that is made of it."""
    pytest.importorskip("hatchling")
    place = tmp_path_factory.mktemp("built")
    code = "from hatchling import build; print(build.build_sdist({!r}))"
    run([sys.executable, "-c", code.format(str(place))], cwd=ROOT)
    (sdist,) = place.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    run([*build, "-w", place, place / sdist.name.removesuffix(".tar.gz")])
    (wheel,) = place.glob("*.whl")
    return sdist, wheel


@pytest.mark.slow
def test_a_source_distribution_has_what_it_is_made_of_and_nothing_else(built):
    with tarfile.open(built[0]) as archive:
        names = {"/".join(name.split("/")[1:2]) for name in archive.getnames()}
    assert {"jaxopt_lab", "configs", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert not names & {"runs", "build", ".venv", ".pytest_cache"}


@pytest.mark.slow
def test_a_wheel_trains_by_name_in_an_environment_of_its_own(built, tmp_path):
    """With the base dependencies of this environment and no checkout anywhere near."""
    environment = tmp_path / "an environment"
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    (site,) = environment.glob("lib/python*/site-packages")
    # What the wheel depends on is there already; the package itself comes from the wheel alone.
    here = [path for path in sys.path if path.endswith("site-packages")]
    run([sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--target", site, built[1]])
    code = f"import sys; sys.path += {here!r}; from jaxopt_lab.cli import main; main()"
    python = environment / "bin" / "python"
    elsewhere = tmp_path / "some where"
    elsewhere.mkdir()
    run([python, "-c", code, "train", "digits_mlp", "--set", "train.epochs=1"], cwd=elsewhere)
    assert (elsewhere / "runs" / "digits_mlp-001" / "summary.json").exists()
    out = run([python, "-c", code, "configs"], cwd=elsewhere)
    assert "train digits_mlp" in out
    where = f"import sys; sys.path += {here!r}; import jaxopt_lab; print(jaxopt_lab.__file__)"
    assert str(site) in run([python, "-c", where], cwd=elsewhere)


def run(command, cwd=None):
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
