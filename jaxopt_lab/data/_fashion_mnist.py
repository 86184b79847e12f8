"""Fashion-MNIST."""

import os

from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.idx import load_idx
from jaxopt_lab.data.locate import Published

_PUBLISHED = Published(
    name="fashion_mnist",
    home="https://github.com/zalandoresearch/fashion-mnist",
    sha256={
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
)
_FOLDERS = (
    "fashion-mnist",
    "fashion_mnist",
    "FashionMNIST",
    "FashionMNIST/raw",
    "fashion-mnist/data/fashion",
    "data/fashion",
    "raw",
)
_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Fashion-MNIST: 28x28 gray pictures of clothes, 60,000 to train and 10,000 to test.

    As quick as MNIST and harder: methods that tie there differ here.

    Args:
      data_dir: folder of the four IDX files, gzip or not, or a folder above it that names it
        `fashion-mnist`, `FashionMNIST` or `FashionMNIST/raw`. None: the environment variable
        `JAXOPT_LAB_DATA`.

    Returns:
      A `Dataset` of (N, 28, 28, 1) uint8 images, (N,) int32 labels 0..9. Files with fewer
      images than published give a smaller N.

    Raises:
      InputError: the files are missing, damaged, or those of MNIST.

    Reference:
      Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017.
    """
    return load_idx(_PUBLISHED, data_dir, _FOLDERS, _CLASSES, balanced=True)
