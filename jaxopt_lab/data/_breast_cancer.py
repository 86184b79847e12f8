"""Scikit-learn's breast cancer."""

import numpy as np

from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.of_scikit_learn import of_scikit_learn
from jaxopt_lab.data.stratified import stratified

_TEST_COUNT = 114


def breast_cancer() -> Dataset:
    """Breast cancer (Wisconsin, diagnostic): 569 tumours, 30 measurements each, malignant or not.

    A small real classification of two classes; it comes with scikit-learn, so nothing is fetched.
    The features are as measured, of scales from 0.001 to 1,000: standardize them, by the training
    split. The split is fixed and stratified, 455 to train and 114 to test.

    Returns:
      A `Dataset` of (N, 30) float32 features under "x" and (N,) int32 labels, 0 malignant and
      1 benign.

    Raises:
      InputError: scikit-learn is not installed.

    Reference: Street, Wolberg and Mangasarian, 1993, https://doi.org/10.1117/12.148698; UCI, 1995.
    """
    files = ("breast_cancer.csv",)
    features, labels = of_scikit_learn("breast_cancer", files, delimiter=",", skiprows=1)
    features, labels = np.asarray(features, np.float32), np.asarray(labels).astype(np.int32)
    train, test = stratified(labels, _TEST_COUNT)
    return Dataset(
        {"x": features[train], "y": labels[train]},
        {"x": features[test], "y": labels[test]},
        ("malignant", "benign"),
    )
