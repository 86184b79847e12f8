"""A small problem with its curvature, and explicit matrices to compare with."""

import functools

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxopt_lab import nn, second_order

SAMPLES, CLASSES = 7, 3


def cross_entropy(outputs, labels):
    """That of the package computes in float32; this in the outputs' precision."""
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1)[:, 0]


class SmallMlp(fnn.Module):
    """3-4-3, tanh."""

    @fnn.compact
    def __call__(self, x):
        dtype = x.dtype
        x = jnp.tanh(fnn.Dense(4, param_dtype=dtype, dtype=dtype)(x))
        return fnn.Dense(CLASSES, param_dtype=dtype, dtype=dtype)(x)


class SmallConv(fnn.Module):
    """The package's convolution, which has no forward mode on CPU, and a Dense layer."""

    @fnn.compact
    def __call__(self, x):
        dtype = x.dtype
        x = jnp.tanh(nn.Conv(2, (2, 2), strides=2, param_dtype=dtype, dtype=dtype)(x))
        return fnn.Dense(CLASSES, param_dtype=dtype, dtype=dtype)(x.reshape(len(x), -1))


MODELS = {"mlp": (SmallMlp(), (3,)), "conv": (SmallConv(), (4, 4, 1))}


def apply(name, params, batch):
    return MODELS[name][0].apply({"params": params}, batch["x"])


def mlp(params, batch):
    return apply("mlp", params, batch)


def conv(params, batch):
    return apply("conv", params, batch)


@functools.cache
def problem(name="mlp", dtype=jnp.float32, samples=SAMPLES, seed=0):
    """Parameters and the curvature there."""
    model, shape = MODELS[name]
    keys = jax.random.split(jax.random.key(seed), 3)
    x = jax.random.normal(keys[0], (samples, *shape), dtype)
    params = jax.jit(model.init)(keys[1], x)["params"]
    batch = {"x": x, "y": (jnp.arange(samples) % CLASSES)}
    model_fn = {"mlp": mlp, "conv": conv}[name]
    return params, second_order.Curvature(params, model_fn, cross_entropy, batch, keys[2])


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def matrices(curvature):
    """Hessian, Gauss-Newton, and Fishers, explicitly, by loops over samples and numpy.

    The Jacobians are by reverse mode of one sample at a time; the rest is written out here.
    """
    vector, unravel = ravel_pytree(curvature.variables)
    model_fn, batch = curvature.model_fn, curvature.batch

    def outputs(vector, sample):
        return model_fn(unravel(vector), jax.tree.map(lambda x: x[None], sample))[0]

    jacobians = np.asarray(
        jax.jit(jax.vmap(jax.jacrev(outputs), (None, 0)))(vector, batch), np.float64
    )
    z = np.asarray(jax.jit(lambda p: model_fn(p, batch))(curvature.variables), np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    samples = len(z)

    def fisher(labels):
        slopes = p - np.eye(CLASSES)[np.asarray(labels)]
        grads = np.einsum("nkp,nk->np", jacobians, slopes)
        return grads, grads.T @ grads / samples

    loss_hessian = np.stack([np.diag(q) - np.outer(q, q) for q in p])
    ggn = np.einsum("nkp,nkl,nlq->pq", jacobians, loss_hessian, jacobians) / samples

    def objective(vector):
        return curvature.output_loss(model_fn(unravel(vector), batch), batch["y"]).mean()

    hessian = jax.jit(jax.jacrev(jax.grad(objective)))(vector)
    drawn = jax.random.categorical(curvature.key, jnp.asarray(z, curvature.outputs().dtype))
    mc_grads, mc = fisher(drawn)
    empirical_grads, empirical = fisher(batch["y"])
    return {
        "hessian": np.asarray(hessian, np.float64),
        "ggn": ggn,
        "mc": mc,
        "empirical": empirical,
        "mc_grads": mc_grads,
        "empirical_grads": empirical_grads,
        "gradient": empirical_grads.mean(0),
    }


@functools.cache
def solved(name, dtype):
    """A curvature and its explicit matrices, made once. Float64 needs its types enabled."""
    _, curvature = problem(name, dtype)
    return curvature, matrices(curvature)
