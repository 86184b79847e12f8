"""`jaxopt-lab show-augment`: training images before and after each op and mixer."""

import pathlib

import jax
import numpy as np

from jaxopt_lab.config.augmentation import build_stages
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Experiment, channel_statistics
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.run.records.pictures import write_figure

SHOWN = 8
DRAWN_FOR = 64  # a batch, of which the first are shown: mixers need partners


def show_augment(config: Config, experiment: Experiment, path: pathlib.Path) -> None:
    """Draw the first training images into a PNG, a row for each `[[augment]]` table.

    Args:
      config, experiment: what is to be trained.
      path: of the picture to write.

    Raises:
      InputError: where the configuration has no `[[augment]]`, or the samples are no images.
    """
    if not config.augment:
        raise InputError("show-augment: the configuration has no [[augment]], nothing to draw")
    if experiment.train["x"].ndim != 4 or experiment.train["x"].shape[-1] not in (1, 3):
        shape = experiment.train["x"].shape[1:]
        raise InputError(f"show-augment: the samples have shape {shape}, which is no image to draw")
    from jaxopt_lab.plots import image_grid  # here: matplotlib takes long to import

    mean, _ = channel_statistics(experiment.train["x"])
    batch = {k: jax.numpy.asarray(v[:DRAWN_FOR]) for k, v in experiment.train.items()}
    labeled = not config.data.reconstruct
    if labeled:
        batch["y"] = jax.nn.one_hot(batch["y"], len(experiment.classes))
    key = stream_key(jax.random.key(config.seed), Stream.AUGMENT)
    titles, columns = ["data"], [batch]
    for i, (name, stage) in enumerate(build_stages(config.augment, mean)):
        titles.append(name)
        columns.append(jax.jit(stage)(jax.random.fold_in(key, i), columns[-1]))
    images = np.stack([_bytes(np.asarray(c["x"][:SHOWN])) for c in columns])
    labels = [np.asarray(c["y"][:SHOWN]) for c in columns]
    text = [[_words(y, experiment.classes) if labeled else "" for y in row] for row in labels]
    write_figure(path, image_grid({"image": images, "row": titles, "text": text}))


def _bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    return np.clip(np.round(255 * images.astype(np.float32)), 0, 255).astype(np.uint8)


def _words(label: np.ndarray, classes: tuple[str, ...]) -> str:
    """`cat`, or `cat 70 %, dog 30 %`."""
    largest = np.argsort(-label, kind="stable")[:2]
    if label[largest[1]] < 0.005:
        return classes[largest[0]]
    return ", ".join(f"{classes[k]} {label[k]:.0%}" for k in largest)
