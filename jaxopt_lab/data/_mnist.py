"""MNIST."""

import os

from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.idx import load_idx
from jaxopt_lab.data.locate import Published

_PUBLISHED = Published(
    name="mnist",
    home="http://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/)",
    sha256={
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
)
_FOLDERS = ("mnist", "MNIST", "MNIST/raw", "mnist/raw", "raw")


def mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """MNIST: 28x28 gray handwritten digits, 60,000 to train and 10,000 to test.

    The first data set to try a method on; most networks exceed 98 % on it, so it tells few apart.

    Args:
      data_dir: folder of the four IDX files, gzip or not, or a folder above it that names it
        `mnist`, `MNIST` or `MNIST/raw`. None: the environment variable `JAXOPT_LAB_DATA`.

    Returns:
      A `Dataset` of (N, 28, 28, 1) uint8 images, (N,) int32 labels 0..9. Files with fewer
      images than published give a smaller N.

    Raises:
      InputError: the files are missing, damaged, or those of Fashion-MNIST.

    Reference:
      LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    return load_idx(_PUBLISHED, data_dir, _FOLDERS, tuple("0123456789"), balanced=False)
