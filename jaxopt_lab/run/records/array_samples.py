"""Arrays of samples in `.npz` and `.npy` files, read a piece at a time where they are mapped."""

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.arrays import inputs_of
from jaxopt_lab.data.npy_format import read_npy, read_npz
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Block, Fault, Read, sound
from jaxopt_lab.run.records.truth import truth_of_array, unknown


def array_blocks(network: Predictor, name: str, path: str, most: int) -> Read:
    """The rows of `x`, and what is true of them in `y`, of an `.npz` or `.npy` file."""
    signature = network.signature
    try:
        arrays = {"x": read_npy(path, "x")} if path.endswith(".npy") else read_npz(path)
        arrays = {{"x_train": "x", "y_train": "y"}.get(k, k): v for k, v in arrays.items()}
        if "x" not in arrays:
            raise InputError(f"{name}: there is no x; it holds {', '.join(arrays) or 'nothing'}")
        x = arrays["x"]
        whole = signature.x_dtype == "uint8" and x.dtype.kind in "biu"
        x = x if whole else inputs_of(x, f"{name}: x", [])
        if (*x.shape[1:], 1) == signature.x_shape:  # of one channel, or one number
            x = x[..., None]
        if x.shape[1:] != signature.x_shape:
            wanted = ", ".join(map(str, ("N", *signature.x_shape)))
            raise InputError(f"{name}: expected x of shape ({wanted}), got {x.shape}")
        truth = None
        if (y := arrays.get("y")) is not None:
            if len(y) != len(x):
                raise InputError(f"{name}: {len(x):,} rows of x and {len(y):,} of y")
            truth = truth_of_array(signature, np.asarray(y), arrays.get("classes"), name)
    except InputError as error:
        yield Fault(str(error).replace(path, name))
        return
    for at in range(0, len(x), most):
        piece = np.asarray(x[at : at + most])
        rows = np.arange(at, at + len(piece))
        known = unknown(signature, len(piece)) if truth is None else truth[rows]
        yield from sound(network, Block(piece, [name] * len(piece), rows.tolist(), known))
