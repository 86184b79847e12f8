"""CIFAR-100."""

import os
from typing import Literal

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.data.cifar import Layout, load_cifar
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.locate import Published

_LAYOUT = Layout(
    published=Published(
        name="cifar100",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        sha256={
            "cifar-100-binary.tar.gz": (
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
            )
        },
    ),
    archive="cifar-100-binary.tar.gz",
    folder="cifar-100-binary",
    train={"train.bin": 50_000},
    test={"test.bin": 10_000},
    label_bytes={"coarse": 20, "fine": 100},
)
_COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables
    household_electrical_devices household_furniture insects large_carnivores
    large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1
    vehicles_2
"""
_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_CLASSES = {"fine": tuple(_FINE.split()), "coarse": tuple(_COARSE.split())}


def cifar100(
    data_dir: str | os.PathLike[str] | None = None, labels: Literal["fine", "coarse"] = "fine"
) -> Dataset:
    """CIFAR-100: 32x32 color photographs of a hundred classes, 50,000 to train, 10,000 to test.

    CIFAR-10's size with a tenth of the images a class: regularization counts for more.

    Args:
      data_dir: the folder `cifar-100-binary`, or one that holds it or
        `cifar-100-binary.tar.gz`, which is read as it is. None: the environment variable
        `JAXOPT_LAB_DATA`.
      labels: `"fine"` for the 100 classes, `"coarse"` for the 20 that group them by fives.

    Returns:
      A `Dataset` of (N, 32, 32, 3) uint8 images, red green blue, and (N,) int32 labels.
      Files with fewer records than published give a smaller N.

    Raises:
      InputError: the files are missing or damaged, or `labels` is unknown.

    Reference:
      Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    if labels not in _CLASSES:
        raise ArgumentError("cifar100", {"labels": f"must be 'fine' or 'coarse', got {labels!r}"})
    return load_cifar(_LAYOUT, data_dir, ("cifar-100", "cifar100"), labels, _CLASSES[labels])
