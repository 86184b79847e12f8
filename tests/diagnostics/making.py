"""Small networks and matrices, with explicit ones to compare with."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxopt_lab import diagnostics, nn

SIZES = (5, 3, 2)  # of the batches
CLASSES = 3


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def matrix_operator(matrix):
    return lambda v: jnp.asarray(matrix, v.dtype) @ v


def symmetric(eigenvalues, seed=1):
    n = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return (q * np.asarray(eigenvalues, float)) @ q.T


def cross_entropy(outputs, labels):
    """That of the package computes in float32; this in the outputs' precision."""
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1)[:, 0]


def mlp(params, x):
    x = jnp.tanh(x @ params["one"]["kernel"] + params["one"]["bias"][None])
    return x @ params["two"]["kernel"] + params["two"]["bias"][None]


def cnn(params, x):
    """The package's convolution, which has no forward mode on CPU, and a dense layer."""
    conv = nn.Conv(2, (2, 2), strides=2, param_dtype=x.dtype, dtype=x.dtype)
    x = jnp.tanh(conv.apply({"params": params["one"]}, x))
    return x.reshape(len(x), -1) @ params["two"]["kernel"] + params["two"]["bias"][None]


MODELS = {
    "mlp": (mlp, (4,), {"one": (4, 5), "two": (5, CLASSES)}),
    "cnn": (cnn, (4, 4, 1), {"one": (2, 2, 1, 2), "two": (8, CLASSES)}),
}


class Problem:
    """A network, batches of 5, 3 and 2 samples, and the dense Hessian of all 10."""

    def __init__(self, name, dtype):
        model, shape, kernels = MODELS[name]
        draw = np.random.default_rng(0).normal
        self.params = {
            layer: {
                "kernel": jnp.asarray(draw(size=size), dtype),
                "bias": jnp.asarray(draw(size=size[-1:]), dtype),
            }
            for layer, size in kernels.items()
        }
        x = jnp.asarray(draw(size=(sum(SIZES), *shape)), dtype)
        y = jnp.arange(len(x)) % CLASSES
        cuts = np.cumsum(SIZES)[:-1]
        self.batches = [
            {"x": x, "y": y}
            for x, y in zip(
                np.split(np.asarray(x), cuts), np.split(np.asarray(y), cuts), strict=True
            )
        ]
        self.loss_fn = lambda params, batch: cross_entropy(model(params, batch["x"]), batch["y"])
        self.loss = lambda params: cross_entropy(model(params, x), y).mean()
        self.product = diagnostics.mean_hessian(self.loss_fn, self.params, [{"x": x, "y": y}])
        self.vector, self.unravel = ravel_pytree(self.params)

    @functools.cached_property
    def gradient(self):
        return self._explicit[0]

    @functools.cached_property
    def hessian(self):
        return self._explicit[1]

    @functools.cached_property
    def eigenvalues(self):
        return np.linalg.eigvalsh(self.hessian)

    @functools.cached_property
    def _explicit(self):
        @jax.jit
        def computed(vector):
            gradient = jax.grad(lambda v: self.loss(self.unravel(v)))
            return gradient(vector), jax.jacrev(gradient)(vector)

        return tuple(map(np.asarray, computed(self.vector)))


@functools.cache
def problem(name="mlp", dtype="float64"):
    return Problem(name, dtype)
