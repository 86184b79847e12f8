"""`jaxopt-lab linear`: a linear model solved for one lambda or many, and the best of them."""

import inspect
import io
import os
import pathlib
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_tables, to_toml
from jaxopt_lab.config.load import load_linear_config
from jaxopt_lab.config.sections import LinearConfig
from jaxopt_lab.config.source import load_dataset, split_dataset
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.memory import require_memory
from jaxopt_lab.core.tree import stack_trees, take
from jaxopt_lab.linear import Fit, LinearModel, best_strength, predict, score
from jaxopt_lab.run.records.csv_text import csv_text
from jaxopt_lab.run.records.folder import LINEAR_MODEL, Folder
from jaxopt_lab.run.records.json_file import write_json
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.session import open_session

Split = tuple[jax.Array, jax.Array]

MOST_FEATURES = 20_000
ROWS_SHOWN = 12


class LinearResult(NamedTuple):
    """What `solve` returns.

    Attributes:
      model: the `LinearModel` of the chosen lambda, of standardized features.
      path: a row a lambda, NumPy columns: `lam`, `train_score`, `val_score` where there is a
        validation split, `nonzero`, `norm`; of `fit` also `residual`, `iterations`, `converged`.
      chosen: the row of the lambda with the best validation score.
      test: `{"accuracy": ...}` or `{"r2": ..., "mean_squared_error": ...}`.
      run_dir: where the run was written; None where it was not.
    """

    model: LinearModel
    path: dict[str, np.ndarray]
    chosen: int
    test: dict[str, float]
    run_dir: str | None


class LinearFolder(Folder[LinearConfig]):
    """`config.toml path.csv model.npz summary.json plots/`."""

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        self.summary: pathlib.Path = self.path / "summary.json"

    def own_config(self) -> LinearConfig:
        self.require_there()
        return load_linear_config(self.config)

    def begin(self, config: LinearConfig) -> None:
        """Make the folder of a new solution."""
        self._begin(to_toml(config), [to_tables(config)])


def solve(
    config: LinearConfig,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> LinearResult:
    """Solve a linear model for every lambda, choose by the validation split, and test that one.

    Features are flattened and standardized by the training split, before and after the feature map.

    Args:
      config: from `load_linear_config`.
      run_dir: folder to write; None to write nothing.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      progress: whether to print.

    Returns:
      A `LinearResult`.

    Raises:
      InputError: where the data is missing, or settings do not fit it or each other.
    """
    began = time.perf_counter()
    with open_session(LinearFolder, config, run_dir, show=progress) as session:
        train, validation, test, classes = _data(config, data_dir)
        session.say(
            f"{config.data.source.name}: {len(train[0]):,} train, "
            f"{len(validation[0]) if validation else 0:,} validation, {len(test[0]):,} test; "
            f"{train[0].shape[1]:,} features"
        )
        with session.terminal.waiting(f"solving for {max(1, len(config.lam))} lambda ..."):
            models, certificate = jax.block_until_ready(_solved(config, *train, classes))
        path = _path(config, models, certificate, train, validation)
        chosen = best_strength(path["lam"], path.get("val_score", path["train_score"]))
        model = take(models, chosen)
        scores = _test_scores(model, *test)
        session.begin(config)
        try:
            if session.folder:
                _write(session.folder, model, models, path, chosen, scores, began)
        finally:  # told even where the disk is full
            _show(session.terminal, config, path, chosen, scores, session.folder)
    return LinearResult(model, path, chosen, scores, str(run_dir) if run_dir else None)


def _data(config: LinearConfig, data_dir: Any) -> tuple[Split, Split | None, Split, int]:
    """Standardized features and labels of each split, and the number of classes, 0 for numbers."""
    dataset = load_dataset(config.data.source, data_dir)
    found = split_dataset(config.data, dataset)
    train, validation, test = found.train, found.validation, found.test
    if validation is None and len(config.lam) > 1:
        fault = "several lambdas are chosen from by the validation split: give it a share"
        raise ConfigError("configuration", [("data.validation", fault)])
    splits = [train, validation, test]
    features = [
        None if s is None else np.asarray(s["x"]).reshape(len(s["y"]), -1).astype(np.float32)
        for s in splits
    ]
    features = _standardized(features)
    if config.features is not None:
        features = _standardized(_mapped(config, features))
    pairs = [
        None if s is None or x is None else (jnp.asarray(x), jnp.asarray(s["y"]))
        for s, x in zip(splits, features, strict=True)
    ]
    train_pair, validation_pair, test_pair = pairs
    assert train_pair is not None and test_pair is not None
    return train_pair, validation_pair, test_pair, len(dataset.classes)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.asarray(x).reshape(len(x), -1).astype(np.float32)


def _standardized(features: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """By the mean and the deviation of the first, the training split's."""
    first = features[0]
    assert first is not None
    mean, std = first.mean(0, dtype=np.float64), first.std(0, dtype=np.float64)
    std = np.where(std > 1e-6 * np.abs(mean), std, 1.0)  # a constant column stays zero
    return [None if x is None else ((x - mean) / std).astype(np.float32) for x in features]


def _mapped(config: LinearConfig, features: list[np.ndarray | None]) -> list[np.ndarray | None]:
    choice = config.features
    assert choice is not None
    function = FAMILIES["features"].functions[choice.name]
    draws = "key" in inspect.signature(function).parameters
    given = {"key": jax.random.key(config.seed)} if draws else {}

    def phi(x):
        return function(X=x, **given, **choice.arguments)

    first = features[0]
    assert first is not None
    count = jax.eval_shape(phi, jax.ShapeDtypeStruct(first.shape, jnp.float32)).shape[1]
    if count > MOST_FEATURES:
        fault = f"{choice.name} makes {count:,} features of {first.shape[1]}, more than "
        raise ConfigError("configuration", [("features", f"{fault}{MOST_FEATURES:,}; take fewer")])
    _require_memory(sum(len(x) for x in features if x is not None) * count, "the features")
    mapped = jax.jit(phi)
    return [None if x is None else np.asarray(mapped(x)) for x in features]


def _require_memory(count: int, what: str) -> None:
    """Make sure that so many numbers of float32 fit the memory."""
    remedy = "take fewer features, fewer lambdas or a smaller data.train_size"
    require_memory(f"linear: {what}", 4 * count, 1.0, remedy)


def _solved(
    config: LinearConfig, X: jax.Array, y: jax.Array, classes: int
) -> tuple[LinearModel, Fit | None]:
    """Models with a leading axis of lambdas, and the certificates of `fit`."""
    arguments = dict(config.solver.arguments)
    function = FAMILIES["linear"].functions[config.solver.name]
    parameters = inspect.signature(function).parameters
    squares = "loss" not in parameters or arguments.get("loss") == "squared"
    if classes and squares:
        y = jax.nn.one_hot(y, classes)  # a regression on each class, the largest says which
    elif not squares and "classes" in parameters:
        arguments["classes"] = classes or None
    _require_memory(X.shape[1] * max(1, len(config.lam)) * max(1, classes), "the models")
    if "lam" not in parameters:
        return stack_trees([function(X, y, **arguments)]), None
    path, lams = declared(function).path, jnp.asarray(config.lam)
    if path is not None and arguments.keys() <= inspect.signature(path).parameters.keys():
        return path(X, y, lams, **arguments), None
    if path is not None:
        return stack_trees([function(X, y, lam, **arguments) for lam in config.lam]), None
    found = jax.vmap(lambda lam: function(X, y, lam=lam, **arguments))(lams)
    return found.model, found


def _path(
    config: LinearConfig,
    models: LinearModel,
    certificate: Fit | None,
    train: Split,
    validation: Split | None,
) -> dict[str, np.ndarray]:
    coef = models.coef.reshape(len(models.coef), -1)
    path = {"lam": np.asarray(config.lam or (0.0,))}
    path["train_score"] = _scores(models, *train)
    if validation is not None:
        path["val_score"] = _scores(models, *validation)
    path["nonzero"] = np.asarray((coef != 0).sum(1))
    path["norm"] = np.asarray(jnp.linalg.norm(coef, axis=1))
    if certificate is not None:
        for name in ("residual", "iterations", "converged"):
            path[name] = np.asarray(getattr(certificate, name))
    return path


def _scores(models: LinearModel, X: jax.Array, y: jax.Array) -> np.ndarray:
    return np.asarray(jax.vmap(score, (0, None, None))(models, X, y))


def _test_scores(model: LinearModel, X: jax.Array, y: jax.Array) -> dict[str, float]:
    value = float(score(model, X, y))
    if not jnp.issubdtype(y.dtype, jnp.inexact):
        return {"accuracy": value}
    return {"r2": value, "mean_squared_error": float(jnp.square(predict(model, X) - y).mean())}


def _write(folder, model, models, path, chosen, scores, began) -> None:
    from jaxopt_lab.plots import regularization_path  # here: matplotlib takes long to import

    rows = zip(*(column.tolist() for column in path.values()), strict=True)
    write_atomically(folder.path / "path.csv", csv_text([path, *rows]).encode())
    arrays = io.BytesIO()
    np.savez(arrays, coef=model.coef, intercept=model.intercept)
    write_atomically(folder.path / LINEAR_MODEL, arrays.getvalue())
    coef = np.asarray(models.coef).reshape(len(models.coef), -1)
    drawn = path | {"coef": coef, "chosen": path["lam"][chosen]}
    drawn["score"] = "accuracy" if "accuracy" in scores else "$R^2$"
    write_figure(folder.plots / "regularization_path.png", regularization_path(drawn))
    summary = {
        "test": scores,
        "lam": float(path["lam"][chosen]),
        "nonzero": int(path["nonzero"][chosen]),
        "run_seconds": round(time.perf_counter() - began, 3),
    }
    write_json(folder.summary, summary)


def _show(terminal, config, path, chosen, scores, folder) -> None:
    names = ["lambda", "train", "validation", "nonzero", "norm"]
    columns = ["lam", "train_score", "val_score", "nonzero", "norm"]
    shown = [(n, c) for n, c in zip(names, columns, strict=True) if c in path]
    count = len(path["lam"])
    picked = {*np.linspace(0, count - 1, min(count, ROWS_SHOWN)).round().astype(int), chosen}
    rows = [
        [
            f"{path[c][i]:.4g}" + (" *" if c == "lam" and i == chosen and count > 1 else "")
            for _, c in shown
        ]
        for i in sorted(picked)
    ]
    if config.lam:
        terminal.columns("", [name for name, _ in shown], rows)
    missed = int((~path["converged"]).sum()) if "converged" in path else 0
    if missed:
        worst = path["residual"][~path["converged"]].max()
        terminal.say(
            f"{missed} of {count} did not reach the tolerance (largest residual {worst:.1e}): "
            "raise linear.max_iterations or linear.tolerance"
        )
    label = {"accuracy": "test accuracy", "r2": "test R^2"}
    verdict = {label.get(k, k.replace("_", " ")): f"{v:.4g}" for k, v in scores.items()}
    if config.lam:
        verdict = {"lambda": f"{path['lam'][chosen]:.4g}"} | verdict
    if folder:
        verdict["plot"] = str(folder.plots / "regularization_path.png")
    terminal.closing_table("solved", verdict, good=not missed)
