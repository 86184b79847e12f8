"""The data sets that come with scikit-learn: its own rows, each once, in a split that never moves.

`test_digits.py` looks at those that are images.
"""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn import datasets

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError

SIZES = {"diabetes": (354, 88, 10, np.float32), "breast_cancer": (455, 114, 30, np.int32)}
# Recorded once: another order would change every result that was ever reported.
DIGESTS = {
    "diabetes": "3eb610c49aaa38aab5d5349bee872424999259c3dc306ebe3a7b623ad2a17e20",
    "breast_cancer": "b233cad175f206efa72db48fb347c2502163555036b81fd8be3dfa4c662a748d",
}


def rows(features, labels):
    return sorted(
        x.astype("<f4").tobytes() + np.float32(y).tobytes()
        for x, y in zip(features, labels, strict=True)
    )


def original(name):
    if name == "diabetes":
        return datasets.load_diabetes(return_X_y=True, scaled=False)
    return datasets.load_breast_cancer(return_X_y=True)


@pytest.mark.parametrize("name", SIZES)
def test_shapes_dtypes_and_rows(name):
    train_count, test_count, width, label_dtype = SIZES[name]
    dataset = data.DATASETS[name]()
    for split, count in ((dataset.train, train_count), (dataset.test, test_count)):
        assert split["x"].shape == (count, width)
        assert split["x"].dtype == np.float32
        assert split["x"].flags.c_contiguous
        assert split["y"].shape == (count,)
        assert split["y"].dtype == label_dtype
    both = [np.concatenate([s[k] for s in (dataset.train, dataset.test)]) for k in ("x", "y")]
    assert rows(*both) == rows(*original(name))
    assert len(set(rows(*both))) == train_count + test_count


def test_classes():
    assert data.diabetes().classes == ()
    dataset = data.breast_cancer()
    assert dataset.classes == tuple(datasets.load_breast_cancer().target_names)
    shares = [split["y"].mean() for split in (dataset.train, dataset.test)]
    assert abs(shares[0] - shares[1]) < 1 / 114  # stratified


@pytest.mark.parametrize("name", SIZES)
def test_the_split_is_always_the_same(name):
    digest = hashlib.sha256()
    for split in [*data.DATASETS[name]()][:2]:
        digest.update(split["x"].astype("<f4").tobytes())
        digest.update(split["y"].astype("<f4").tobytes())
    assert digest.hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", [*SIZES, "digits"])
def test_without_scikit_learn(monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(InputError, match=r'pip install "jaxopt_lab\[lab\]"'):
        data.DATASETS[name]()


def test_scikit_learn_is_not_imported():
    """It takes a second, and SciPy and pandas with it."""
    names = [*SIZES, "digits"]
    told = f"[data.DATASETS[name]() for name in {names}], 'sklearn' in sys.modules"
    command = f"import sys; from jaxopt_lab import data; print({told})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout.endswith("] False\n"), done.stderr


@pytest.mark.parametrize("name", [*SIZES, "digits"])
def test_should_scikit_learn_keep_its_files_elsewhere_it_is_asked(monkeypatch, name):
    found = data.DATASETS[name]()
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    for split, other in zip([*found][:2], [*data.DATASETS[name]()][:2], strict=True):
        jax.tree.map(np.testing.assert_array_equal, split, other)
