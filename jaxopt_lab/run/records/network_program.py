"""A network as a program for jax alone: StableHLO, from raw samples to outputs.

1. The weights are constants of the program. A barrier is around them, because a compiler that
   computed with them beforehand would round in another way than the run did.
2. The batch size is left open, and nothing else is.
3. It is lowered for each platform; what a model chooses by platform is chosen when it is called.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError, require, told
from jaxopt_lab.core.tree import size_bytes
from jaxopt_lab.run.records.network_card import input_dtype
from jaxopt_lab.run.records.predictor import Predictor

PLATFORMS = ("cpu", "cuda", "tpu")
_MOST_BYTES = 2**31 - 2**24  # flatbuffers counts in int32
_ROWS = 3  # of the batch that is tried
_CLOSE = 1e-5


def network_program(network: Predictor) -> bytes:
    """The program, serialized: `jax.export.deserialize` reads it.

    Raises:
      InputError: where the library is missing, the model needs to know the batch size, or its
        weights are beyond what the format holds.
    """
    require("flatbuffers", "export")
    from jax import export

    weights = (network.params, network.model_state)
    if size_bytes(weights) > _MOST_BYTES:
        raise InputError(
            f"export: the weights take {size_bytes(weights) / 2**30:.1f} GiB, a program holds less "
            "than 2: export them --to safetensors"
        )
    weights = jax.tree.map(_local, weights)

    def outputs(x: jax.Array) -> jax.Array:
        params, model_state = jax.lax.optimization_barrier(weights)
        return network.evaluate(params, model_state, network.signature.inputs(x))

    (batch,) = export.symbolic_shape("batch")
    shape = (batch, *network.signature.x_shape)
    x: Any = jax.ShapeDtypeStruct(shape, jnp.dtype(input_dtype(network)))
    try:
        program = export.export(jax.jit(outputs), platforms=PLATFORMS)(x).serialize()
    except Exception as error:  # whatever a model does with a size that is no number
        raise InputError(
            f"export: the model is no program for every batch size: {told(error)[:400]}; write "
            "x.shape[0] and not len(x), and compute no number of it"
        ) from error
    _require_right(network, bytearray(program))
    return bytes(program)


def _local(leaf: Any) -> Any:
    """A leaf on one device, so that the program asks for no more."""
    return (
        leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else jnp.asarray(np.asarray(leaf))
    )


def _require_right(network: Predictor, program: bytearray) -> None:
    """Make sure that the program gives the run's own outputs here.

    Raises:
      InputError: where it does not.
    """
    from jax import export

    shape, dtype = (_ROWS, *network.signature.x_shape), input_dtype(network)
    x = np.linspace(0, 255, int(np.prod(shape))).reshape(shape)
    x = x.astype(dtype) if dtype == "uint8" else (x / 255).astype(dtype)
    found = np.asarray(export.deserialize(program).call(x), np.float32)
    wanted = np.asarray(network.apply(x), np.float32)
    if not np.allclose(found, wanted, rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
        apart = float(np.abs(found - wanted).max())
        raise InputError(
            f"export: the program's outputs are {apart:g} apart from the run's own: this model is "
            "no pure function of its inputs"
        )
