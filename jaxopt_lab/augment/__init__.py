"""Augmentation on the device: `(key, image) -> image`, pure and keyed.

Operations are deterministic (`geometry.py`, `levels.py`, `colors.py`); `random_*` and the policies
draw their arguments. Mixers and attacks take a batch. Imports `core`, `linalg`, `problems` and
`losses` at most. Begin with `op.py`: what an augmentation is, of one image and of a batch.
"""

from jaxopt_lab.augment._augmix import augmix
from jaxopt_lab.augment._cutmix import cutmix
from jaxopt_lab.augment._cutout import cutout
from jaxopt_lab.augment._fgsm import fgsm
from jaxopt_lab.augment._gaussian_blur import gaussian_blur
from jaxopt_lab.augment._gaussian_noise import gaussian_noise
from jaxopt_lab.augment._mixup import mixup
from jaxopt_lab.augment._pgd import pgd
from jaxopt_lab.augment._rand_augment import rand_augment
from jaxopt_lab.augment._random_affine import random_affine
from jaxopt_lab.augment._random_crop import random_crop
from jaxopt_lab.augment._random_erasing import random_erasing
from jaxopt_lab.augment._random_flip import random_flip
from jaxopt_lab.augment._random_rotate import random_rotate
from jaxopt_lab.augment._random_shear import random_shear
from jaxopt_lab.augment._random_translate import random_translate
from jaxopt_lab.augment._random_zoom import random_zoom
from jaxopt_lab.augment._trivial_augment import trivial_augment
from jaxopt_lab.augment._views import views
from jaxopt_lab.augment.colors import brightness, contrast, grayscale, hue, saturation, sharpness
from jaxopt_lab.augment.geometry import affine, rotate, shear_x, shear_y, translate
from jaxopt_lab.augment.levels import autocontrast, equalize, gamma, invert, posterize, solarize
from jaxopt_lab.augment.op import Op, batched, compose, per_batch
from jaxopt_lab.augment.random_colors import (
    random_brightness,
    random_contrast,
    random_grayscale,
    random_hue,
    random_saturation,
    random_sharpness,
)
from jaxopt_lab.augment.random_levels import (
    random_autocontrast,
    random_equalize,
    random_gamma,
    random_invert,
    random_posterize,
    random_solarize,
)

AUGMENTATIONS = {
    f.__name__: f
    for f in (
        random_crop,
        random_flip,
        random_translate,
        random_rotate,
        random_zoom,
        random_shear,
        random_affine,
        random_autocontrast,
        random_equalize,
        random_posterize,
        random_solarize,
        random_invert,
        random_gamma,
        random_brightness,
        random_contrast,
        random_saturation,
        random_sharpness,
        random_hue,
        random_grayscale,
        cutout,
        random_erasing,
        gaussian_blur,
        gaussian_noise,
        augmix,
        rand_augment,
        trivial_augment,
    )
}
MIXERS = {f.__name__: f for f in (mixup, cutmix)}
ATTACKS = {f.__name__: f for f in (fgsm, pgd)}

__all__ = [
    "ATTACKS",
    "AUGMENTATIONS",
    "MIXERS",
    "Op",
    "affine",
    "augmix",
    "autocontrast",
    "batched",
    "brightness",
    "compose",
    "contrast",
    "cutmix",
    "cutout",
    "equalize",
    "fgsm",
    "gamma",
    "gaussian_blur",
    "gaussian_noise",
    "grayscale",
    "hue",
    "invert",
    "mixup",
    "per_batch",
    "pgd",
    "posterize",
    "rand_augment",
    "random_affine",
    "random_autocontrast",
    "random_brightness",
    "random_contrast",
    "random_crop",
    "random_equalize",
    "random_erasing",
    "random_flip",
    "random_gamma",
    "random_grayscale",
    "random_hue",
    "random_invert",
    "random_posterize",
    "random_rotate",
    "random_saturation",
    "random_sharpness",
    "random_shear",
    "random_solarize",
    "random_translate",
    "random_zoom",
    "rotate",
    "saturation",
    "sharpness",
    "shear_x",
    "shear_y",
    "solarize",
    "translate",
    "trivial_augment",
    "views",
]
