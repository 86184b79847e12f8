"""Real images that need no download: patches of the two photographs of scikit-learn."""

import functools

import numpy as np
from sklearn.datasets import load_sample_images


@functools.cache
def patches(n=300, size=32):
    """(n, size, size, 3) uint8, at seeded places of both photographs."""
    rng, photographs = np.random.default_rng(0), load_sample_images().images
    found = []
    for i in range(n):
        image = photographs[i % 2]
        top, left = (rng.integers(0, s - size) for s in image.shape[:2])
        found.append(image[top : top + size, left : left + size])
    return np.stack(found)
