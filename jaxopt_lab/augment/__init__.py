"""Augmentation on the device: `(key, image) -> image`, pure and keyed."""

from jaxopt_lab.augment._op import Op, batched, compose
from jaxopt_lab.augment._random_crop import random_crop
from jaxopt_lab.augment._random_flip import random_flip

AUGMENTATIONS = {f.__name__: f for f in (random_crop, random_flip)}

__all__ = ["AUGMENTATIONS", "Op", "batched", "compose", "random_crop", "random_flip"]
