"""The samples of the test split that a network does worst on, as pictures."""

import numpy as np

from jaxopt_lab.core.png import png_of
from jaxopt_lab.run.records.answers import Answers, class_numbers_of, is_image, worst_first
from jaxopt_lab.run.trackers.tracker import Picture

SAMPLES, SIDE = 2000, 96
"""The first of the split are looked at; pixels of a side, at least."""


def worst_pictures(answers: Answers) -> list[Picture]:
    """The images of the largest losses, the worst first; none where the samples are no images."""
    if not is_image(answers.x):
        return []
    index, classes = answers.prediction.index, answers.prediction.classes
    found = []
    for i in worst_first(answers.losses[:SAMPLES]).tolist():
        text = f"loss {answers.losses[i]:.3g}"
        if index is not None and index.ndim == 1 and answers.y.ndim == 1:
            told = classes[int(class_numbers_of(answers)[i])], classes[int(index[i])]
            text = "true {}, predicted {}, ".format(*told) + text
        pixels = _enlarged(np.asarray(answers.x[i]))
        found.append(Picture(png_of(pixels), pixels.shape[:2], text))
    return found


def _enlarged(image: np.ndarray) -> np.ndarray:
    """An image of bytes, or of floats in [0, 1], as bytes, each pixel as a square of some."""
    if image.dtype != np.uint8:
        image = np.round(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8)
    times = max(1, -(-SIDE // max(image.shape[:2])))
    return image.repeat(times, 0).repeat(times, 1)
