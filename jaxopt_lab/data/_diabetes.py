"""Scikit-learn's diabetes."""

import numpy as np

from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.of_scikit_learn import of_scikit_learn
from jaxopt_lab.data.stratified import stratified

_TEST_COUNT = 88


def diabetes() -> Dataset:
    """Diabetes: 442 patients, 10 measurements each, and how the disease progressed in a year.

    A small real regression; it comes with scikit-learn, so nothing is fetched. The features are as
    measured (age, sex, body mass index, blood pressure, six of blood serum): standardize them, by
    the training split. The split is fixed and random, 354 to train and 88 to test.

    Returns:
      A `Dataset` of (N, 10) float32 features under "x", (N,) float32 progressions from 25 to
      346 under "y", and no classes.

    Raises:
      InputError: scikit-learn is not installed.

    Differs from: `sklearn.datasets.load_diabetes`, whose default is features that all 442 patients
    standardize, each of norm 1.

    Reference: Efron et al., 2004, https://doi.org/10.1214/009053604000000067.
    """
    files = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
    features, labels = of_scikit_learn("diabetes", files, scaled=False)
    features, labels = np.asarray(features, np.float32), np.asarray(labels, np.float32)
    train, test = stratified(np.zeros(len(labels), int), _TEST_COUNT)
    return Dataset(
        {"x": features[train], "y": labels[train]},
        {"x": features[test], "y": labels[test]},
        (),
    )
