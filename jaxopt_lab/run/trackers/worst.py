"""The samples of the test split that a network does worst on, as pictures."""

import struct
import zlib

import jax
import numpy as np

from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.trackers.tracker import Picture

MOST, SAMPLES, SIDE = 12, 2000, 96
"""Pictures; of how many samples, the first of the split; pixels of a side, at least."""

_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels -> the color type of a PNG file."""


def worst_pictures(
    experiment: Experiment, params: Params, model_state: ModelState
) -> list[Picture]:
    """The images of the largest losses, the worst first; none where the samples are no images."""
    test = {name: values[:SAMPLES] for name, values in experiment.test.items()}
    x = test.get("x")
    if x is None or x.ndim != 4 or x.shape[-1] not in _COLORS:
        return []
    outputs = experiment._replace(test=test).predict(params, model_state)
    labels = {k: v for k, v in test.items() if k != "x"}
    losses = np.asarray(jax.jit(experiment.objective.each)(outputs, labels))
    order = np.argsort(-np.where(np.isnan(losses), np.inf, losses), kind="stable")[:MOST]
    classes, found = experiment.classes, []
    for i in order.tolist():
        text = f"loss {losses[i]:.3g}"
        if classes and test["y"].ndim == 1 and outputs.shape[1:] == (len(classes),):
            told = (classes[int(test["y"][i])], classes[int(outputs[i].argmax())])
            text = "true {}, predicted {}, ".format(*told) + text
        pixels = _enlarged(np.asarray(x[i]))
        found.append(Picture(png(pixels), pixels.shape[:2], text))
    return found


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, C) bytes, C in 1 to 4."""
    height, width, channels = pixels.shape
    # Each line begins with its filter, 0 for none.
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, _COLORS[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """An image of bytes, or of floats in [0, 1], as bytes, each pixel as a square of some."""
    if image.dtype != np.uint8:
        image = np.round(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8)
    times = max(1, -(-SIDE // max(image.shape[:2])))
    return image.repeat(times, 0).repeat(times, 1)
