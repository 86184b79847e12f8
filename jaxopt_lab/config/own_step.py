"""A step with functions of one's own is traced once before anything compiles, so that faults of
theirs are told as a user's, with file and line, whatever table they stand in."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_tables
from jaxopt_lab.config.own import own_names
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.tables import FAMILIES, declared_by
from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.own import own
from jaxopt_lab.engine import Experiment

# Of pixels in [0, 1], with what noise and contrast may add; bytes are far beyond.
FAR = 16.0


def check_own_step(config: Config, experiment: Experiment) -> None:
    """Trace the first state and a step, where the configuration has names of one's own.

    Raises:
      InputError: where a function of one's own fails, with its file and line.
    """
    names = own_names(to_tables(config))
    if not names or not experiment.train:
        return
    try:
        jax.eval_shape(
            lambda key, batch: experiment.step(experiment.init(key), batch),
            jax.random.key(0),
            experiment.drawn.shapes(experiment.train),
        )
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        listed = ", ".join(f"{table} {name!r}" for table, name in sorted(names))
        raise InputError(f"a step with {listed} failed: {told(error)}") from error


def check_own_augmentations(config: Config, signature: Signature) -> None:
    """Hold a user's own augmentations to what goes in, on one sample of noise.

    Bytes may become floats, which are pixels in [0, 1] then: those of 0 to 255 would train a
    network on numbers 255 times too large, and nothing would say so.

    Raises:
      ConfigError: where one fails, or gives another shape or range.
    """
    for i, choice in enumerate(config.augment):
        if choice.name not in own("augment") or declared_by("augment", choice).mixes:
            continue
        op = FAMILIES["augment"].make(choice.name, choice.arguments)
        draws, shape = np.random.default_rng(0), signature.x_shape
        bytes_in = signature.x_dtype == "uint8"
        image = draws.integers(0, 256, shape) if bytes_in else draws.random(shape)
        image = jnp.asarray(image, signature.x_dtype)
        what = f"{choice.name}: of an image {image.dtype} {shape}"
        try:
            found = op(jax.random.key(0), image)
        except Exception as error:  # whatever the user's own code raises
            fault = f"{choice.name} failed on an image {image.dtype} {shape}: {told(error)}"
            raise ConfigError("configuration", [(f"augment.{i}", fault)]) from error
        fault = None
        if getattr(found, "shape", None) != shape:
            came = f"{found.dtype} {found.shape}" if hasattr(found, "shape") else repr(found)
            fault = f"{what} it makes {came}, expected the same shape"
        elif bytes_in and found.dtype != jnp.uint8:
            largest = float(jnp.abs(found).max())
            if largest > FAR:
                fault = (
                    f"{what} it makes {found.dtype} up to {largest:.4g}, expected bytes as they "
                    "came or floats in [0, 1]: divide by 255 first"
                )
        if fault:
            raise ConfigError("configuration", [(f"augment.{i}", fault)])
