"""Standard archives and own files to arrays: read where they lie, checked, never downloaded.

Imports `core`, `linalg`, `problems` and `losses` at most. Begin with `dataset.py`, what a reader
gives, then `_digits.py`, and of own files `_npz.py`; `bounded.py` holds what a damaged or hostile
file can cost.
"""

from jaxopt_lab.data._as_dataset import as_dataset
from jaxopt_lab.data._breast_cancer import breast_cancer
from jaxopt_lab.data._cifar10 import cifar10
from jaxopt_lab.data._cifar100 import cifar100
from jaxopt_lab.data._diabetes import diabetes
from jaxopt_lab.data._digits import digits
from jaxopt_lab.data._fashion_mnist import fashion_mnist
from jaxopt_lab.data._huggingface import huggingface
from jaxopt_lab.data._image_folder import image_folder
from jaxopt_lab.data._mnist import mnist
from jaxopt_lab.data._npy import npy
from jaxopt_lab.data._npz import npz
from jaxopt_lab.data._table import table
from jaxopt_lab.data.dataset import Dataset, targets_of

DATASETS = {
    f.__name__: f
    for f in (
        digits,
        mnist,
        fashion_mnist,
        cifar10,
        cifar100,
        diabetes,
        breast_cancer,
        image_folder,
        npz,
        npy,
        table,
        huggingface,
    )
}

__all__ = [
    "DATASETS",
    "Dataset",
    "as_dataset",
    "breast_cancer",
    "cifar10",
    "cifar100",
    "diabetes",
    "digits",
    "fashion_mnist",
    "huggingface",
    "image_folder",
    "mnist",
    "npy",
    "npz",
    "table",
    "targets_of",
]
