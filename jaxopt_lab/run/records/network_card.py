"""What goes with a network that leaves: all that its numbers do not say, as plain values."""

import platform
from typing import Any

import jax

import jaxopt_lab
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.core.declare import declared, name_of
from jaxopt_lab.run.records.predictor import Predictor


def network_card(network: Predictor) -> dict[str, Any]:
    """Shapes, classes, normalization, columns and origin of a network.

    Returns:
      `input`: a raw sample's shape, behind an axis of the batch, and dtype. `normalization`: mean
      and standard deviation by channel of what it becomes first, bytes over 255. `fill` and
      `columns`: of a table, what a missing number becomes, and how columns became the input.
      `output`: what the network gives, and `response`, the function that makes probabilities or
      means of it: "softmax", "sigmoid", "exponential" or None. `classes`. `kept`, `step` and
      `why`: which weights these are. `config_hash`, and the versions that wrote it.
    """
    signature = network.signature
    response = declared(network.experiment.objective.loss).response
    outputs = len(signature.classes) or (signature.y_shape[0] if signature.y_shape else 1)
    return {
        "input": {"shape": [None, *signature.x_shape], "dtype": input_dtype(network)},
        "normalization": {"mean": signature.mean.tolist(), "std": signature.std.tolist()},
        "fill": None if signature.fill is None else signature.fill.tolist(),
        "columns": [dict(column) for column in signature.columns],
        "output": {
            "shape": [None, outputs],
            "response": None if response is None else name_of(response),
        },
        "targets": signature.targets,
        "classes": list(signature.classes),
        "kept": network.kept,
        "step": getattr(network, "step", None),
        "why": network.why,
        "config_hash": config_hash(network.config),
        "versions": {
            "jaxopt_lab": jaxopt_lab.__version__,
            "jax": jax.__version__,
            "python": platform.python_version(),
        },
    }


def input_dtype(network: Predictor) -> str:
    """Of raw samples: bytes where the run was trained on them, else float32."""
    return "uint8" if network.signature.x_dtype == "uint8" else "float32"
