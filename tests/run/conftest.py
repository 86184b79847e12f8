"""A small run that the tests of a folder share; those that change it copy it first."""

import shutil

import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config

SMALL = {
    "data": {"name": "digits", "batch_size": 256, "validation": 0.15},
    "model": {"name": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.02},
    "train": {"steps": 20, "evaluate_every": 5, "checkpoint_every": 5},
}


@pytest.fixture(scope="session")
def small():
    """Its tables."""
    return SMALL


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The folder of it, trained to its end: to be read only."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    jaxopt_lab.train(parse_config(SMALL), folder, progress=False)
    return folder


@pytest.fixture
def run_copy(small_run, tmp_path):
    return shutil.copytree(small_run, tmp_path / "run")
