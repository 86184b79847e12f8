"""What the command line changes in a file: names, what they leave out, what is removed."""

import pytest

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.load import load_config, read_tables
from jaxopt_lab.config.sweep import load_sweep
from jaxopt_lab.core.errors import InputError

FILE = """
[data]
name = "digits"
batch_size = 32

[model]
name = "mlp"
hidden = [32, 16]
activation = "tanh"
init = "he_normal"

[optimizer]
name = "adamw"
learning_rate = 0.01
b1 = 0.8
weight_decay = {name = "one_cycle", peak = 0.1, rise = 0.3}

[loss]
name = "softmax_cross_entropy"
label_smoothing = 0.2
consistency = 3.0

[[augment]]
name = "cutout"
length = 3

[[augment]]
name = "mixup"

[schedule]
name = "cosine_decay"
end = 0.1

[train]
epochs = 2
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a file.toml"
    path.write_text(FILE)
    return path


# name -> the table with the new name in it, and what was left out
NAMES = {
    "model.name=linear": ({"name": "linear", "init": "he_normal"}, ["hidden", "activation"]),
    "optimizer.name=sgd": ({"name": "sgd", "learning_rate": 0.01}, ["b1", "weight_decay"]),
    'optimizer.weight_decay.name="constant"': ({"name": "constant", "peak": 0.1}, ["rise"]),
    "loss.name=hinge": ({"name": "hinge", "consistency": 3.0}, ["label_smoothing"]),
    "augment.0.name=random_flip": ({"name": "random_flip"}, ["length"]),
    "schedule.name=constant": ({"name": "constant"}, ["end"]),
    "schedule.0.name=constant": ({"name": "constant"}, ["end"]),
    "data.name=mnist": ({"name": "mnist", "batch_size": 32}, []),
    "model.name=unheard_of": (
        {"name": "unheard_of", "hidden": [32, 16], "activation": "tanh", "init": "he_normal"},
        [],
    ),
}


@pytest.mark.parametrize(("override", "expected"), NAMES.items(), ids=NAMES)
def test_another_name_leaves_out_what_it_does_not_take_and_says_so(path, override, expected):
    said = []
    place = read_tables(path, [override], say=said.append)
    for key in override.split(".name=")[0].split("."):
        place = place[int(key)] if isinstance(place, list) else place.get(key, place)
    table, left_out = expected
    assert place == table
    assert [text for text in said if all(f".{key}" in text for key in left_out)] == said
    assert len(said) == bool(left_out)


def test_a_name_comes_before_what_is_set_for_it_whatever_the_order(path):
    for overrides in (["optimizer.rho=0.8", "optimizer.name=adadelta"],) * 2:
        tables = read_tables(path, overrides, say=lambda text: None)
        assert tables["optimizer"] == {"name": "adadelta", "learning_rate": 0.01, "rho": 0.8}
        overrides.reverse()


def test_without_a_listener_it_is_a_warning(path):
    with pytest.warns(UserWarning, match=r"'linear' in place of 'mlp': left out model\.hidden"):
        assert load_config(path, ["model.name=linear"]).model.arguments == {"init": "he_normal"}


def test_keys_are_unset_by_their_place_in_the_file(path):
    tables = read_tables(path, ["augment.0.name=mixup"], ["augment.0", "model.hidden", "loss"])
    assert tables["augment"] == [{"name": "mixup"}]
    assert "hidden" not in tables["model"] and "loss" not in tables
    assert read_tables(path, [], ["augment.0", "augment.1"])["augment"] == []
    assert read_tables(path, [], ["model.hidden.0"])["model"]["hidden"] == [16]
    assert "schedule" not in read_tables(path, [], ["schedule.0"])
    text = '[sweep]\n"optimizer.b1" = [0.1]\nseeds = 2\n'
    path.write_text(FILE + text)
    assert read_tables(path, [], ['sweep."optimizer.b1"'])["sweep"] == {"seeds": 2}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("model.hiden", "there is no 'hiden' in [model], did you mean 'hidden'?"),
        ("modle", "there is no 'modle' in the file, did you mean 'model'?"),
        ("augment.2", "'2' must be an index below 2"),
        ("train.epochs.x", "there is no 'x' in [train.epochs]"),
        ("a b", "expected table.key, model.hidden for one"),
        ("", "expected table.key, model.hidden for one"),
    ],
)
def test_what_is_not_there_cannot_be_unset(path, key, text):
    with pytest.raises(InputError) as error:
        load_config(path, [], [key])
    assert text in str(error.value) and f"--unset {key}" in str(error.value)


@pytest.mark.parametrize("value", ["2 epochs", "10%", "[mlp, linear]", "{name = mlp}"])
def test_quotes_that_a_shell_took_away_are_asked_for(path, value):
    with pytest.raises(InputError, match=r"within others: --set 'train\.evaluate_every="):
        load_config(path, [f"train.evaluate_every={value}"])
    with pytest.raises(InputError, match="A shell takes quotes away"):
        load_sweep(path, [], [f"train.evaluate_every={value}"])


# A range at a key that takes whole numbers only -> its values
WHOLE = {
    "data.batch_size={linear = [16, 64], n = 4}": [16, 32, 48, 64],
    "data.batch_size={log = [16, 64], n = 3}": [16, 32, 64],
    "model.hidden.1={log = [1.0, 10.0], n = 3}": [1, 3, 10],
    "train.evaluate_every={linear = [1, 3], n = 9}": [1, 2, 3],
    "augment.0.length={linear = [1, 3], n = 3}": [1, 2, 3],
    "optimizer.b1={linear = [0, 0.5], n = 2}": [0.0, 0.5],
    "loss.consistency={linear = [1, 2], n = 3}": [1.0, 1.5, 2.0],
}


@pytest.mark.parametrize(("axis", "values"), WHOLE.items(), ids=WHOLE)
def test_a_range_gives_whole_numbers_where_no_others_go(path, axis, values):
    (name, *_) = axis.split("=")
    plan = load_sweep(path, grid=[axis])
    found = [run.values[name] for run in plan.runs]
    assert found == values and [type(v) for v in found] == [type(v) for v in values]
    kind, (low, high) = ("log", (4, 90)) if "log" in axis else ("linear", (0, 0.5))
    if not isinstance(values[0], float):
        kind, (low, high) = "log", (4, 14)
    drawn = load_sweep(path, ["sweep.samples=5"], [f"{name}={{{kind} = [{low}, {high}]}}"])
    assert {type(run.values[name]) for run in drawn.runs} == {type(values[0])}


def test_a_list_with_one_member_is_named_as_others_are(path):
    """Written as a table of its own, as TOML allows."""
    one = FILE.replace('[[augment]]\nname = "mixup"\n', "").replace("[[augment]]", "[augment]")
    path.write_text(one)
    plan = load_sweep(path, grid=["augment.0.length={linear = [1, 3], n = 3}"])
    assert [run.config.augment[0].arguments["length"] for run in plan.runs] == [1, 2, 3]


@pytest.mark.parametrize(
    "name", ["augment.0", "augment.0.0", "0.1", ".1", "a.1", "seed.0", ".", "a."]
)
@pytest.mark.parametrize("axis", ["[1, 2]", "{linear = [1, 3], n = 3}"])
def test_an_axis_of_no_value_is_refused(path, name, axis):
    with pytest.raises(InputError, match=r"unknown|must be|name one"):
        load_sweep(path, grid=[f"{name}={axis}"])


def test_an_axis_of_names_leaves_out_what_each_does_not_take(path):
    said = []
    plan = load_sweep(path, grid=['model.name=["mlp", "linear"]'], say=said.append)
    mlp, linear = (run.config.model.arguments for run in plan.runs)
    assert mlp["hidden"] == (32, 16) and linear == {"init": "he_normal"} and len(said) == 1
    # A whole number of the one that takes it, though the file names the other.
    axes = ['model.name=["resnet"]', "model.depth={linear = [8, 20], n = 2}"]
    plan = load_sweep(path, grid=axes, say=said.append)
    assert [run.config.model.arguments["depth"] for run in plan.runs] == [8, 20]


TOO_LARGE = [
    ("train.steps_per_dispatch=1000000000000", "at most 2,147,483,647"),
    ("train.log_every=99999999999999999999", "at most 2,147,483,647"),
    ("data.batch_size=3_000_000_000", "at most 2,147,483,647"),
    ("model.hidden=[4_000_000_000]", "at most 2,147,483,647"),
    (f"optimizer.learning_rate=1{400 * '0'}", "too large for a number"),
    ("optimizer.learning_rate=1e39", r"must be at most 3.4e\+38 in size, got 1e\+39"),
    ("train.epochs=-1e300", r"at most 3.4e\+38 in size"),
    ("seed=4294967296", r"must be in \[0, 4294967295\]"),
]


@pytest.mark.parametrize(("override", "text"), TOO_LARGE, ids=[a[:30] for a, _ in TOO_LARGE])
def test_numbers_that_jax_cannot_count_are_refused(path, override, text):
    with pytest.raises(ConfigError, match=text):
        load_config(path, [override])


def test_seeds_past_the_last_are_refused(path):
    load_sweep(path, ["seed=4294967294", "sweep.seeds=2"])
    with pytest.raises(ConfigError, match="2 seeds from 4294967295 go past"):
        load_sweep(path, ["seed=4294967295", "sweep.seeds=2"])
