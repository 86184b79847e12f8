"""Corruptions of test images, `(key, image, *, severity) -> image`: the fifteen of CIFAR-10-C.

For measuring what a trained network bears, not for training it: one uint8 image in and out, of any
size; a batch through `jax.vmap`. Lengths in pixels are those published for 32 by 32. Imports `core`
and `augment.pixels`. Begin with `severity.py`, then `_brightness.py`.
"""

from jaxopt_lab.augment.corruptions._brightness import brightness
from jaxopt_lab.augment.corruptions._contrast import contrast
from jaxopt_lab.augment.corruptions._defocus_blur import defocus_blur
from jaxopt_lab.augment.corruptions._elastic_transform import elastic_transform
from jaxopt_lab.augment.corruptions._fog import fog
from jaxopt_lab.augment.corruptions._frost import frost
from jaxopt_lab.augment.corruptions._gaussian_noise import gaussian_noise
from jaxopt_lab.augment.corruptions._glass_blur import glass_blur
from jaxopt_lab.augment.corruptions._impulse_noise import impulse_noise
from jaxopt_lab.augment.corruptions._jpeg_compression import jpeg_compression
from jaxopt_lab.augment.corruptions._motion_blur import motion_blur
from jaxopt_lab.augment.corruptions._pixelate import pixelate
from jaxopt_lab.augment.corruptions._shot_noise import shot_noise
from jaxopt_lab.augment.corruptions._snow import snow
from jaxopt_lab.augment.corruptions._zoom_blur import zoom_blur
from jaxopt_lab.augment.corruptions.severity import Severity

CORRUPTIONS = {
    f.__name__: f
    for f in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
    )
}

__all__ = [
    "CORRUPTIONS",
    "Severity",
    "brightness",
    "contrast",
    "defocus_blur",
    "elastic_transform",
    "fog",
    "frost",
    "gaussian_noise",
    "glass_blur",
    "impulse_noise",
    "jpeg_compression",
    "motion_blur",
    "pixelate",
    "shot_noise",
    "snow",
    "zoom_blur",
]
