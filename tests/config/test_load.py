"""Configurations: what a file means, and every fault of it at once."""

import dataclasses
import tomllib

import pytest

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash, to_toml
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sections import DataConfig
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import InputError

GOOD = """
seed = 3
[data]
name = "digits"
batch_size = 32
[model]
name = "mlp"
hidden = [8, 8]
[optimizer]
name = "adam"
learning_rate = 1
[train]
epochs = 2
"""


@pytest.fixture(name="write")
def _write(tmp_path):
    def write(content, name="config.toml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def faults(error):
    return dict(error.value.faults)


def test_a_data_sets_arguments_are_not_those_of_its_table():
    own = {field.name for field in dataclasses.fields(DataConfig)}
    taken = {n: own & FAMILIES["data"].arguments(n).keys() for n in FAMILIES["data"].functions}
    assert not [name for name, both in taken.items() if both]


def test_values_are_converted_and_defaults_filled_in(write):
    config = load_config(write(GOOD))
    assert config.seed == 3
    assert config.data.batch_size == 32
    assert config.data.source.name == "digits"
    assert config.model.arguments == {"hidden": (8, 8)}
    rate = config.optimizer.arguments["learning_rate"]
    assert rate == 1.0 and isinstance(rate, float)
    assert config.train.epochs == 2.0
    assert config.loss is None, "the targets say which"


def test_the_resolved_configuration_reads_back_as_itself(write):
    content = (
        GOOD
        + '[[augment]]\nname="random_crop"\n'
        + '[[schedule]]\nname="linear_decay"\nsteps="10%"\n'
        + '[[schedule]]\nname="cosine_decay"\n'
    )
    config = load_config(write(content))
    text = to_toml(config)
    again = load_config(write(text, "again.toml"))
    assert to_toml(again) == text
    assert config_hash(again) == config_hash(config)
    assert "eps = 1e-08" in text and 'steps = "10%"' in text


def test_set_changes_values_as_toml(write):
    config = load_config(
        write(GOOD + '[[augment]]\nname = "random_flip"\n'),
        [
            "optimizer.learning_rate=3e-4",
            "model.hidden=[4]",
            "data.batch_size=full",
            "optimizer.name = sgd",
            "augment.0.probability=0.25",
            "schedule.name='linear_decay'",
        ],
    )
    assert config.optimizer.name == "sgd"
    assert config.optimizer.arguments == {"learning_rate": 3e-4}
    assert config.model.arguments["hidden"] == (4,)
    assert config.data.batch_size == "full"
    assert config.augment[0].arguments == {"probability": 0.25}
    assert config.schedule[0].name == "linear_decay"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("optimizer.learning_rate", "expected table.key=value"),
        ("=3", "expected table.key=value"),
        ("a..b=3", "expected table.key=value"),
        ("optimizer.learning_rate=[1,", "no TOML value"),
        ("seed.x=3", "is a value, not a table"),
        ("augment.5.padding=3", "must be an index below"),
    ],
)
def test_a_malformed_override_is_named(write, override, text):
    with pytest.raises(InputError, match=text):
        load_config(write(GOOD + '[[augment]]\nname = "random_flip"\n'), [override])


def test_every_fault_is_told_at_once(write):
    content = """
    sed = 1
    seed = -1
    [data]
    name = "digit"
    batch_sise = 32
    validation = 1.0
    last_batch = "pad"
    [model]
    name = "mlp"
    hidden = "wide"
    activation = "rellu"
    [optimizer]
    name = "adam"
    learning_rat = 0.1
    b1 = 1.0
    eps = true
    [[augment]]
    name = "random_crop"
    mode = "refelct"
    [train]
    epochs = 2
    steps = 3
    dtype = "float16"
    evaluate_every = "2 weeks"
    batch_size = 8
    """
    with pytest.raises(ConfigError) as error:
        load_config(write(content))
    found = faults(error)
    expected = {
        "sed": "did you mean 'seed'?",
        "seed": "must be in [0, 4294967295], got -1",
        "data.name": "unknown: 'digit', did you mean 'digits'?; one of breast_cancer, cifar10",
        "data.batch_sise": "did you mean 'batch_size'?",
        "data.validation": "must be in [0, 1), got 1.0",
        "data.last_batch": "unknown, it is a key of [train]; known here: ",
        "model.hidden": "must be a list, each a whole number >= 1, got 'wide' (str)",
        "model.activation": "got 'rellu', did you mean 'relu'?",
        "optimizer.learning_rat": "did you mean 'learning_rate'?",
        "optimizer.learning_rate": "missing; adam needs it: a number > 0",
        "optimizer.b1": "must be in [0, 1), got 1.0",
        "optimizer.eps": "must be a number > 0, got True (bool)",
        "augment.0.mode": "did you mean 'reflect'?",
        "train.batch_size": "unknown, it is a key of [data]; known here: ",
        "train": "needs epochs or steps, one of the two; both are given",
        "train.dtype": "must be 'float32' or 'bfloat16', got 'float16'",
        "train.evaluate_every": "or a length",
    }
    assert {k: v for k, v in expected.items() if v not in found.get(k, "")} == {}
    assert str(error.value).count("\n") == len(error.value.faults)


def test_what_only_the_function_can_check_is_told_with_its_path(write):
    with pytest.raises(ConfigError, match=r"model\.depth: must be 6 n \+ 2 .* got 21"):
        load_config(write(GOOD), ['model={name="resnet", depth=21}'])


def test_missing_tables_are_named():
    with pytest.raises(ConfigError) as error:
        parse_config({"seed": 0})
    assert set(faults(error)) == {"data", "model", "optimizer", "train"}
    with pytest.raises(ConfigError, match="neither is given"):
        parse_config({"train": {}})


@pytest.mark.parametrize("value", [3, [3], "x"])
def test_a_value_where_a_table_belongs(value):
    with pytest.raises(ConfigError, match="must be a table"):
        parse_config({"optimizer": value})
    with pytest.raises(ConfigError, match="must be a table"):
        parse_config({"augment": value})


@pytest.mark.parametrize("name", [3, True, ["adam"], "", "__class__"])
def test_a_name_that_is_none(name):
    with pytest.raises(ConfigError, match=r"optimizer\.name"):
        parse_config({"optimizer": {"name": name, "learning_rate": 0.1}})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"seed = ", "not TOML"),
        (b"\xff\xfe\x00", "not UTF-8 at byte 0"),
    ],
)
def test_a_file_that_is_no_configuration(write, content, text):
    with pytest.raises(InputError, match=text):
        load_config(write(content))


def test_a_path_that_is_no_file(tmp_path):
    with pytest.raises(InputError, match="a folder"):
        load_config(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "none.toml")


def test_steps_take_the_place_of_epochs(write):
    config = load_config(write(GOOD), ["train.steps=7"])
    assert (config.train.steps, config.train.epochs) == (7, None)


def test_a_byte_order_mark_is_no_fault(write):
    assert load_config(write("\ufeff" + GOOD)).seed == 3


def test_a_length_of_nothing_is_a_fault(write):
    with pytest.raises(ConfigError, match=r"train.evaluate_every: must be a whole number >= 1 or"):
        load_config(write(GOOD), ["train.evaluate_every='0%'"])


@pytest.mark.parametrize("number", ["nan", "inf", "-1.0", "0.0"])
def test_a_rate_that_is_no_rate(write, number):
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate: must be > 0"):
        load_config(write(GOOD), [f"optimizer.learning_rate={number}"])


MESH = {"data": 4, "model": 2, "rule": [{"match": "Dense_0/kernel", "axes": ["all", "none"]}]}
A_RUN = {
    "data": {"name": "digits"},
    "model": {"name": "mlp"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "train": {"epochs": 1},
}


def test_a_mesh_is_read_and_written_and_is_no_part_of_the_hash():
    with_mesh, without = parse_config(A_RUN | {"mesh": MESH}), parse_config(A_RUN)
    assert with_mesh.mesh.rule[0].axes == ("all", "none")
    assert with_mesh.mesh.devices == 8
    assert without.mesh.devices == 1
    assert parse_config(tomllib.loads(to_toml(with_mesh))).mesh == with_mesh.mesh
    assert config_hash(with_mesh) == config_hash(without)
    assert parse_config(A_RUN | {"mesh": {"shard": "full"}}).mesh.devices is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"data": 0}, "mesh.data: must be"),
        ({"shard": "half"}, "mesh.shard: .*none.*full.*half"),
        ({"date": 4}, "mesh.date: unknown, did you mean 'data'"),
        ({"rule": [{"match": "("}]}, "mesh.rule.0.axes: missing"),
        ({"rule": [{"match": "(", "axes": []}]}, "mesh.rule.0.match: is no regular expression"),
        ({"rule": [{"match": "a", "axes": ["rows"]}]}, "mesh.rule.0.axes: holds a value that"),
        ({"rule": 3}, "mesh.rule.0: must be a table"),
    ],
)
def test_a_mesh_that_is_wrong_is_named(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(A_RUN | {"mesh": table})


def test_an_old_key_is_told_its_new_place():
    train = {"epochs": 1, "data_parallel": True}
    with pytest.raises(ConfigError, match=r'data_parallel: was renamed \[mesh\] data = "all"'):
        parse_config(A_RUN | {"train": train})
