"""Data in hand, in each of its usual forms, against the same arrays."""

import numpy as np
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data import Dataset, as_dataset

DRAWS = np.random.default_rng(0)
X = DRAWS.integers(0, 255, (12, 5, 4, 3)).astype(np.uint8)
Y = np.arange(12) % 3
X_TEST, Y_TEST = X[::-1][:6], Y[::-1][:6]


class Pairs:
    """As a data set of PyTorch: pairs, and the names of the classes."""

    classes = ("a", "b", "c")

    def __init__(self, x=X, y=Y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], int(self.y[i])


class Label:
    """As a feature of Hugging Face."""

    names = ("a", "b", "c")


class Dictionaries(Pairs):
    """As a data set of Hugging Face: dictionaries of its own names, lists for arrays."""

    classes = None

    @property
    def features(self):
        return {"image": None, "label": Label()}

    def __getitem__(self, i):
        return {"image": self.x[i], "label": self.y[i], "id": i}


class Weighted(Pairs):
    """Dictionaries with weights and groups."""

    def __getitem__(self, i):
        return {"x": self.x[i].tolist(), "y": self.y[i], "weight": 1.0 + i, "group": f"g{i % 4}"}


FORMS = {
    "pair": lambda: (X, Y),
    "lists": lambda: (X.astype(np.float32).tolist(), Y.tolist()),
    "arrays by name": lambda: {"x": X, "y": Y},
    "a split": lambda: {"train": (X, Y)},
    "split of a mapping": lambda: {"train": {"image": X, "label": Y}},
    "pairs": Pairs,
    "a list of pairs": lambda: list(zip(X, Y, strict=True)),
    "dictionaries": Dictionaries,
    "weights": Weighted,
    "weights in a triple": lambda: (X, Y, np.arange(12) + 1.0),
}
WITH_TEST = {
    "four": lambda: (X, Y, X_TEST, Y_TEST),
    "two pairs": lambda: ((X, Y), (X_TEST, Y_TEST)),
    "splits": lambda: {"train": (X, Y), "test": (X_TEST, Y_TEST)},
    "splits of sources": lambda: {"train": Pairs(), "test": Dictionaries(X_TEST, Y_TEST)},
    "arrays by name": lambda: {"x": X, "y": Y, "x_test": X_TEST, "y_test": Y_TEST},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_data(form):
    found = as_dataset(FORMS[form]())
    assert found.test is None
    np.testing.assert_array_equal(found.train["x"], X)
    np.testing.assert_array_equal(found.train["y"], Y)
    named = form in ("pairs", "dictionaries", "weights")
    assert found.classes == (("a", "b", "c") if named else ("0", "1", "2"))
    assert found.train["y"].dtype == np.int32
    if form.startswith("weights"):
        np.testing.assert_array_equal(found.train["weight"], np.arange(12) + 1.0)
        assert found.train["x"].dtype == (np.float32 if form == "weights" else np.uint8)
    if form == "weights":
        assert found.train["group"].tolist() == [f"g{i % 4}" for i in range(12)]


@pytest.mark.parametrize("form", WITH_TEST)
def test_a_test_split_comes_along(form):
    found = as_dataset(WITH_TEST[form]())
    np.testing.assert_array_equal(found.test["x"], X_TEST)
    np.testing.assert_array_equal(found.test["y"], Y_TEST)


def test_a_data_set_is_left_as_it_is():
    made = Dataset({"x": X, "y": Y}, None, ("a", "b", "c"))
    assert as_dataset(made) is made


def test_numbers_labels_and_text_are_what_they_are_in_a_file():
    assert as_dataset((X, Y / 2)).targets == "numbers"
    found = as_dataset((X, np.eye(3, dtype=int)[Y]))
    assert found.targets == "labels" and found.train["y"].shape == (12, 3)
    found = as_dataset((X, np.array(["dog", "cat", "ant"])[Y]))
    assert found.classes == ("ant", "cat", "dog")
    np.testing.assert_array_equal(found.train["y"], 2 - Y)


def test_classes_that_are_known_keep_their_numbers():
    few = np.array([2, 0, 2])
    found = as_dataset((X[:3], few), classes=("a", "b", "c"))
    np.testing.assert_array_equal(found.train["y"], few)
    found = as_dataset((X[:3], 10 * (few + 1)), classes=("10", "20", "30"))
    np.testing.assert_array_equal(found.train["y"], few)
    found = as_dataset((X[:3], np.array(["c", "a", "c"])), classes=("a", "b", "c"))
    np.testing.assert_array_equal(found.train["y"], few)


def test_jax_arrays_and_narrow_floats():
    import jax.numpy as jnp

    found = as_dataset((jnp.asarray(X, jnp.bfloat16), jnp.asarray(Y)))
    assert found.train["x"].dtype == np.float32
    np.testing.assert_array_equal(found.train["y"], Y)


def test_the_fingerprint_is_of_the_contents():
    first, again = as_dataset((X, Y)), as_dataset({"train": (X.copy(), Y.copy())})
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != as_dataset((X, Y[::-1])).fingerprint


class Raising(Pairs):
    def __getitem__(self, i):
        if i == 2:
            raise RuntimeError("no file 2")
        return super().__getitem__(i)


class Uneven(Pairs):
    def __getitem__(self, i):
        return self.x[i][: 5 - i // 3], self.y[i]


class Single(Pairs):
    def __getitem__(self, i):
        return self.x[i]


class Unnamed(Pairs):
    def __getitem__(self, i):
        return {"picture": self.x[i], "label": 1}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (X, r"got an object of numpy\.ndarray, expected \(x, y\)"),
        (3, r"got an object of builtins\.int, expected"),
        ("digits", r"got an object of builtins\.str, expected"),
        ((X,), "sample 0 is an object of numpy.ndarray, expected a pair"),
        ((X, Y, X, Y, X), "expected a pair"),
        ((X, Y[:5]), "12 rows of x and 5 of y"),
        ({"x": X}, "there is no y"),
        ({"train": (X, Y), "validation": (X, Y)}, "unknown split 'validation'"),
        ({"trian": (X, Y)}, "unknown 'trian', did you mean 'train'"),
        ({"test": (X, Y)}, "there is no split 'train', only test"),
        ({"train": {"x": X, "labels_": Y}}, "of train: there is no y in x, labels_; name it 'y'"),
        ({"train": (X, Y), "test": (X[:, :2], Y)}, "samples of x and x_test must be alike"),
        ([], "a list of 0 holds no samples"),
        (Raising(), "sample 2 of an object of .*Raising: .*RuntimeError: no file 2"),
        (Uneven(), r"sample 3 is x \(4, 4, 3\) uint8 with x, y; sample 0 is x \(5, 4, 3\)"),
        (Single(), "sample 0 is an object of numpy.ndarray, expected a pair"),
        (Unnamed(), "sample 0: there is no x in picture, label; name it 'x', or one of image"),
        (iter([(X[0], 1)]), "got an object of .*iterator, expected"),
        (([[1, 2], [3]], [0, 1]), "x is no array: .*inhomogeneous"),
        ((np.array([object()]), [1]), "x holds object, expected numbers or text"),
        ((X, np.full(12, np.nan)), "y holds nan at row 0"),
        ((X.astype(complex), Y), "x holds complex128"),
    ],
)
def test_what_is_no_data_is_refused(data, text):
    with pytest.raises(InputError, match=text):
        as_dataset(data)
