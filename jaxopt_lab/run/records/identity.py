"""What a checkpoint must belong to."""

import hashlib
import re

from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.types import Model


def identity_of(config: Config, model: Model | None) -> str:
    """The hash of a run: of its configuration, and of the model where one was given to it."""
    identity = config_hash(config)
    if model is None:
        return identity
    return hashlib.sha256(f"{identity} {described(model)}".encode()).hexdigest()


def described(model: Model | None) -> str | None:
    """A model that was given, as it prints itself, wherever it lies in memory."""
    return None if model is None else re.sub(r" at 0x[0-9a-f]+", "", repr(model))
