"""An old name of an argument is told its new one, in a call and in a file."""

import pytest

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.renames import renames_of

RENAMED = [
    (family, name, old, new)
    for family in FAMILIES
    for name, function in FAMILIES[family].functions.items()
    for old, new in renames_of(function).items()
]


@pytest.mark.parametrize(("family", "name", "old", "new"), RENAMED)
def test_an_old_name_is_told_its_new_one(family, name, old, new):
    with pytest.raises(ArgumentError, match=f"^{name}: {old} was renamed {new}$"):
        FAMILIES[family].functions[name](0.1, **{old: 0.5})
    assert new in {*FAMILIES[family].arguments(name), *FAMILIES[family].given}


def test_a_file_is_told_too():
    tables = {
        "data": {"name": "digits", "target": "image"},
        "model": {"name": "linear"},
        "optimizer": {"name": "momentum", "learning_rate": 0.1, "beta": 0.9},
        "train": {"steps": 1},
    }
    with pytest.raises(ConfigError) as error:
        parse_config(tables)
    assert error.value.faults == (
        ("data.target", "was renamed: reconstruct = true"),
        ("optimizer.beta", "was renamed momentum"),
    )
