"""Real data, standardized in float64 by their own statistics."""

import numpy as np

from jaxopt_lab import data


def standardized(dataset):
    """Features (N, d) and labels (N,) of the training split."""
    X = dataset.train["x"].astype(np.float64)
    return (X - X.mean(0)) / X.std(0), dataset.train["y"]


def diabetes():
    X, y = standardized(data.diabetes())
    return X, y.astype(np.float64)


def breast_cancer():
    return standardized(data.breast_cancer())
