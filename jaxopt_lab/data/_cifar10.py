"""CIFAR-10."""

import os

from jaxopt_lab.data.cifar import Layout, load_cifar
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.locate import Published

_LAYOUT = Layout(
    published=Published(
        name="cifar10",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        sha256={
            "cifar-10-binary.tar.gz": (
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
            )
        },
    ),
    archive="cifar-10-binary.tar.gz",
    folder="cifar-10-batches-bin",
    train={f"data_batch_{i}.bin": 10_000 for i in range(1, 6)},
    test={"test_batch.bin": 10_000},
    label_bytes={"class": 10},
)
_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def cifar10(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """CIFAR-10: 32x32 color photographs of ten classes, 50,000 to train and 10,000 to test.

    The usual measure of a convolutional network, its augmentation and its schedule.

    Args:
      data_dir: the folder `cifar-10-batches-bin`, or one that holds it or
        `cifar-10-binary.tar.gz`, which is read as it is. None: the environment variable
        `JAXOPT_LAB_DATA`.

    Returns:
      A `Dataset` of (N, 32, 32, 3) uint8 images, red green blue, and (N,) int32 labels 0..9.
      Files with fewer records than published give a smaller N.

    Raises:
      InputError: the files are missing or damaged.

    Reference:
      Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    return load_cifar(_LAYOUT, data_dir, ("cifar-10", "cifar10"), "class", _CLASSES)
