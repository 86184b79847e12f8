"""`[[metric]]` as functions of a network's outputs, and what the targets are."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.tables import FAMILIES, declared_by, names_with
from jaxopt_lab.core.declare import Targets
from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.own import own
from jaxopt_lab.core.types import Loss, Measure, Whole


class Measures(NamedTuple):
    """What is measured beside the loss.

    Attributes:
      each: means of one value a sample, which batches of training have too.
      whole: numbers of a whole split.
      final: arrays, of the test split alone.
    """

    each: dict[str, Measure]
    whole: dict[str, Whole]
    final: dict[str, Whole]


def build_measures(config: Config, signature: Signature, outputs: int) -> Measures:
    """The metrics of a file; where it has none, those that are declared for its targets.

    Of an autoencoder these are none: its loss says it all.

    Raises:
      ConfigError: where one is not for these targets or outputs, or is named twice.
    """
    kind, chosen = signature.targets, config.metric
    if not chosen and not config.data.reconstruct:
        chosen = tuple(Choice(n) for n in names_with("metric", lambda d: kind in d.unasked))
    found = Measures({}, {}, {})
    for i, choice in enumerate(chosen):
        path = f"metric.{i}"
        if choice.name in {name for part in found for name in part}:
            fault = f"{choice.name} is measured already; name each metric once"
            raise ConfigError("configuration", [(path, fault)])
        declaration = _for_targets(path, "metric", choice, kind)
        function = _bound("metric", choice)
        part = found.each
        if declaration.whole:
            part = found.whole if declaration.scalar else found.final
            if choice.name in own("metric"):
                _check_whole(path, choice.name, function, signature, outputs, declaration.scalar)
        else:
            _check_shape(path, choice.name, function, signature, outputs)
        part[choice.name] = function
    return found


def chosen_loss(config: Config, signature: Signature) -> Choice:
    """The loss that a file names; where it names none, the one declared for its targets."""
    kind = signature.targets
    return config.loss or Choice(names_with("loss", lambda d: kind in d.unasked)[0])


def build_loss(config: Config, signature: Signature, outputs: int) -> Loss:
    """The loss of a file, `(outputs, labels) -> (B,)`.

    Raises:
      ConfigError: where it is not for these targets or outputs.
    """
    chosen = chosen_loss(config, signature)
    _for_targets("loss.name", "loss", chosen, signature.targets)
    loss = _bound("loss", chosen)
    _check_shape("loss", chosen.name, loss, signature, outputs)
    return loss


def outputs_for(signature: Signature) -> int:
    """How many numbers a sample a model must give."""
    if signature.targets != "numbers":
        return len(signature.classes)
    return signature.y_shape[0] if signature.y_shape else 1


def _bound(family: str, choice: Choice):
    return functools.partial(FAMILIES[family].functions[choice.name], **choice.arguments)


def _for_targets(path: str, family: str, choice: Choice, kind: Targets):
    """What a choice declares, where it is for such targets."""
    declaration = declared_by(family, choice)
    if kind not in declaration.targets:
        able = ", ".join(sorted(names_with(family, lambda d: kind in d.targets)))
        fault = (
            f"{choice.name} is for {' or '.join(declaration.targets)}, the targets are {kind}: "
            f"one of {able}"
        )
        raise ConfigError("configuration", [(path, fault)])
    return declaration


def _check_shape(path: str, name: str, function, signature: Signature, outputs: int) -> None:
    """Hold a loss or a metric to one value a sample, without running it."""
    z, y = _batch(signature, outputs)
    rows, found = len(z), _given(path, name, function, z, y)
    shape, dtype = getattr(found, "shape", None), getattr(found, "dtype", None)
    if shape != (rows,) or not jnp.issubdtype(dtype, jnp.floating):
        came = "one number" if shape == () else f"{dtype} {shape}" if dtype else repr(found)
        raise InputError(
            f"{path}: {name} must give one floating number a sample, ({rows},) for outputs "
            f"{z.shape}, got {came}: leave the mean over the batch to the program"
        )


def _check_whole(
    path: str, name: str, function, signature: Signature, outputs: int, scalar: bool
) -> None:
    """Hold a metric of a whole split to one value, where it is no array, without running it."""
    z, y = _batch(signature, outputs)
    found = _given(path, name, function, z, y, jax.ShapeDtypeStruct(z.shape[:1], jnp.float32))
    if scalar and getattr(found, "shape", None) != ():
        raise InputError(f"{path}: {name} must give one number for a whole split, got {found}")


def _batch(signature: Signature, outputs: int) -> tuple[Any, Any]:
    """Outputs and labels, of more rows than outputs, so that no axis is taken for another."""
    rows = outputs + 1
    y = jax.ShapeDtypeStruct((rows, *signature.y_shape), jnp.dtype(signature.y_dtype))
    return jax.ShapeDtypeStruct((rows, outputs), jnp.float32), y


def _given(path: str, name: str, function, z, y, *more) -> Any:
    """The shapes of what a loss or a metric gives.

    Raises:
      InputError: where it fails, with the file and line of a user's own.
    """
    try:
        return jax.eval_shape(function, z, y, *more)
    except InputError as error:
        raise ConfigError("configuration", [(path, str(error))]) from None
    except Exception as error:  # whatever the user's own code raises
        text = f"{path}: {name} failed on outputs {z.shape} and labels {y.shape}: {told(error)}"
        raise InputError(text) from error
