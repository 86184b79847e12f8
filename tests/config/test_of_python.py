"""`Config.of`: a configuration from Python is that of the file that says the same."""

import pathlib
import tomllib

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash, to_tables
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError

Config = jaxopt_lab.Config
RUN = {
    "data": "digits",
    "model": {"name": "mlp", "hidden": [64]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"epochs": 2},
}
CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
SHIPPED = [
    path
    for path in sorted(CONFIGS.glob("*.toml"))
    if not {"sweep", "linear"} & tomllib.loads(path.read_text()).keys()
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_file_is_equal_to_its_words_in_python_and_to_what_it_writes(path):
    ours = Config.of(**tomllib.loads(path.read_text()))
    assert ours == load_config(path) and config_hash(ours) == config_hash(load_config(path))
    again = parse_config(tomllib.loads(ours.to_toml()))
    assert again == ours and again.to_toml() == ours.to_toml()


def test_a_name_stands_for_its_table_and_a_list_for_several():
    short = Config.of(
        **RUN,
        loss="softmax_cross_entropy",
        schedule=[{"name": "warmup", "steps": "10%"}, "cosine_decay"],
        metric="top_k_accuracy",
        augment=("random_flip", {"name": "random_crop", "padding": 1}),
        seed=3,
    )
    file = """
        seed = 3
        data = {name = "digits"}
        model = {name = "mlp", hidden = [64]}
        optimizer = {name = "adam", learning_rate = 0.01}
        train = {epochs = 2}
        loss = {name = "softmax_cross_entropy"}
        schedule = [{name = "warmup", steps = "10%"}, {name = "cosine_decay"}]
        metric = [{name = "top_k_accuracy"}]
        augment = [{name = "random_flip"}, {name = "random_crop", padding = 1}]
    """
    assert short == parse_config(tomllib.loads(file))
    assert Config.of(**RUN, schedule="cosine_decay") == Config.of(
        **RUN, schedule=[{"name": "cosine_decay"}]
    )


@pytest.mark.parametrize(
    "rate",
    [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), jnp.float32(0.5), jnp.ones(()) / 2],
)
@pytest.mark.parametrize("hidden", [[8, 4], (8, 4), np.array([8, 4]), range(8, 0, -4)])
def test_values_of_python_and_numpy_are_those_of_toml(rate, hidden):
    config = Config.of(
        **RUN
        | {
            "model": {"name": "mlp", "hidden": hidden, "activation": None},
            "optimizer": {"name": "adam", "learning_rate": rate},
            "adversary": None,
        }
    )
    assert config.model.arguments == {"hidden": (8, 4)}
    assert config.optimizer.arguments == {"learning_rate": 0.5}
    assert config.adversary is None


def test_paths_are_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("own.npz", pathlib.Path("own.npz"), tmp_path / "own.npz"):
        config = Config.of(**RUN | {"data": {"name": "npz", "path": path}})
        assert config.data.source.arguments["path"] == str(tmp_path / "own.npz")


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"optimizer": "adam"}, "optimizer.learning_rate", "missing; adam needs it"),
        ({"optimizer": "adm"}, "optimizer.name", "did you mean 'adam'?"),
        ({"optimizer": {"name": "adam", "learning_rate": -1}}, "optimizer.learning_rate", "got -1"),
        ({"optimizer": {"name": "adam", "lr": 0.1}}, "optimizer.lr", "unknown"),
        ({"optimiser": "adam"}, "optimiser", "did you mean 'optimizer'?"),
        ({"model": print}, "model", "must be a table"),
        ({"model": {"name": "mlp", "hidden": [print]}}, "model.hidden", "must be a list"),
        ({"model": ["mlp"]}, "model", "must be a table"),
        ({"train": "2 epochs"}, "train", "must be a table"),
        ({"train": {"epochs": None}}, "train", "needs epochs or steps"),
        ({"data": None}, "data", "missing"),
        (
            {"augment": ["random_flip", "random_flop"]},
            "augment.1.name",
            "did you mean 'random_flip'",
        ),
        ({"augment": ["random_flip", 3]}, "augment.1", "must be a table"),
        ({"group": "Dense"}, "group.0", "must be a table"),
        ({"seed": 1.5}, "seed", "a whole number"),
        ({"seed": True}, "seed", "a whole number"),
    ],
)
def test_faults_are_those_of_a_file(change, path, message):
    with pytest.raises(ConfigError, match=r"^Config.of: \d+ fault") as error:
        Config.of(**RUN | change)
    assert message in dict(error.value.faults)[path]


def test_all_faults_are_told_at_once_and_nothing_is_no_configuration():
    with pytest.raises(ConfigError) as error:
        Config.of(data="digit", model="mpl", optimizer="adm")
    assert {path for path, _ in error.value.faults} == {
        *("data.name", "model.name", "optimizer.name", "train"),
    }
    with pytest.raises(InputError, match=r"Config\.of: empty"):
        Config.of()
    with pytest.raises(InputError, match=r"has \[sweep\]"):
        Config.of(**RUN, sweep={"seeds": 2})


def test_equal_is_what_says_the_same():
    config = Config.of(**RUN)
    spelled = Config.of(**RUN | {"optimizer": {"name": "adam", "learning_rate": 0.01, "b1": 0.9}})
    assert config == spelled and to_tables(config) == to_tables(spelled)
    assert config != Config.of(
        **RUN | {"optimizer": {"name": "adam", "learning_rate": 0.01, "b1": 0.8}}
    )
    assert config != RUN and config != Config.of(**RUN, seed=1)


def test_names_of_ones_own_and_equality_without_them():
    def narrow(outputs: int, hidden: int = 4):
        raise NotImplementedError(outputs, hidden)

    with jaxopt_lab.extended({"model": [narrow]}):
        config = Config.of(**RUN | {"model": "narrow"})
        assert config == Config.of(**RUN | {"model": {"name": "narrow", "hidden": 4}})
        other = Config.of(**RUN | {"model": {"name": "narrow", "hidden": 5}})
    assert config != other and config == config


def test_it_trains():
    config = Config.of(**RUN | {"train": {"steps": 3}})
    assert jaxopt_lab.train(config, progress=False).summary["steps"] == 3
    assert repr(config) == "<Config of digits / mlp / adam, 3 steps, seed 0>"
