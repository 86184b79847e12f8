"""Networks as Flax modules: `apply(variables, x, train=...)`.

Layers, normalizations, initializers, and models built of them by name. Imports `core`, `linalg`,
`problems` and `losses` at most. Begin with `_mlp.py`, a model, and `layers.py`, the choices that
all models share; `convolution.py` makes gradients of convolutions fast in a loop on CPU.
"""

from typing import TYPE_CHECKING, Any

from jaxopt_lab.nn._as_model import as_model
from jaxopt_lab.nn._autoencoder import autoencoder
from jaxopt_lab.nn._cnn import cnn
from jaxopt_lab.nn._conv import Conv
from jaxopt_lab.nn._dense import Dense
from jaxopt_lab.nn._dropout import Dropout
from jaxopt_lab.nn._from_equinox import from_equinox
from jaxopt_lab.nn._gaussian_noise import GaussianNoise
from jaxopt_lab.nn._linear import linear
from jaxopt_lab.nn._lsuv import lsuv
from jaxopt_lab.nn._max_plus import MaxPlus, MaxPlusConv
from jaxopt_lab.nn._maxout import Maxout
from jaxopt_lab.nn._mlp import mlp
from jaxopt_lab.nn._plain import plain
from jaxopt_lab.nn._refuse_lone_values import refuse_lone_values
from jaxopt_lab.nn._resnet import resnet
from jaxopt_lab.nn._wide_resnet import wide_resnet
from jaxopt_lab.nn.activations import activation
from jaxopt_lab.nn.initializers import (
    BY_NAME,
    delta_orthogonal,
    gaussian,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    initializer,
    orthogonal,
)
from jaxopt_lab.nn.normalizations import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    normalization,
)
from jaxopt_lab.nn.weight_standardization import scaled_standardize, standardize

if TYPE_CHECKING:
    from jaxopt_lab.nn._from_nnx import from_nnx

MODELS = {f.__name__: f for f in (linear, mlp, cnn, resnet, wide_resnet, plain, autoencoder)}
INITIALIZERS = BY_NAME

__all__ = [
    "INITIALIZERS",
    "MODELS",
    "BatchNorm",
    "Conv",
    "Dense",
    "Dropout",
    "GaussianNoise",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "MaxPlus",
    "MaxPlusConv",
    "Maxout",
    "activation",
    "as_model",
    "autoencoder",
    "cnn",
    "delta_orthogonal",
    "from_equinox",
    "from_nnx",
    "gaussian",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializer",
    "linear",
    "lsuv",
    "mlp",
    "normalization",
    "orthogonal",
    "plain",
    "refuse_lone_values",
    "resnet",
    "scaled_standardize",
    "standardize",
    "wide_resnet",
]


def __getattr__(name: str) -> Any:
    if name == "from_nnx":  # when first asked for: `flax.nnx` takes long to import
        from jaxopt_lab.nn._from_nnx import from_nnx

        return from_nnx
    raise AttributeError(f"module 'jaxopt_lab.nn' has no attribute {name!r}")
