"""Chapter 3 of the course in pictures: vicinities of images, and adversaries."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from drawing import line, panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_image
from training import descend, digits

from jaxopt_lab import augment, losses, nn

CLASSES = ("temple", "flower")
# Seeds at which two images swap partners: a permutation of two leaves them half the time.
SWAPS = {"mixup": 4, "cutmix": 13}


def photos(side: int) -> jax.Array:
    """The two photographs that come with scikit-learn, their middles: (2, side, side, 3) uint8."""
    both = []
    for name in ("china.jpg", "flower.jpg"):
        photo = Image.fromarray(load_sample_image(name))
        left = (photo.width - photo.height) // 2
        square = photo.crop((left, 0, left + photo.height, photo.height))
        both.append(np.asarray(square.resize((side, side), Image.Resampling.LANCZOS)))
    return jnp.stack(both)


def show(axes: Axes, image: jax.Array, title: str, text: str = "") -> None:
    """One image, gray or in color, without axes."""
    axes.imshow(np.asarray(image).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, pad=3)
    axes.set_xlabel(text, fontsize=8, labelpad=2)


def augmentations() -> Figure:
    """One photograph under each augmentation; the label stays “temple”."""
    image = photos(40)[0]
    ops = {
        "as it is": augment.compose(),
        "crop": augment.random_crop(8),
        "flip": augment.random_flip(1.0),
        "translate": augment.random_translate(0.3),
        "rotate": augment.random_rotate(45),
        "zoom": augment.random_zoom(),
        "shear": augment.random_shear(0.4),
        "autocontrast": augment.random_autocontrast(1.0),
        "equalize": augment.random_equalize(1.0),
        "posterize": augment.random_posterize(),
        "solarize": augment.random_solarize(),
        "brightness": augment.random_brightness(),
        "saturation": augment.random_saturation(),
        "hue": augment.random_hue(),
        "Gaussian blur": augment.gaussian_blur(),
        "Gaussian noise": augment.gaussian_noise(0.15),
        "Cutout": augment.cutout(16),
        "erasing": augment.random_erasing(1.0),
        "AugMix": augment.augmix(),
        "RandAugment": augment.rand_augment(),
        "TrivialAugment": augment.trivial_augment(),
    }
    figure, axes = panels(7, 3, width=1.25, height=1.4)
    keys = jax.random.split(jax.random.key(5), len(ops))
    for one, key, (name, op) in zip(axes.flat, keys, ops.items(), strict=True):
        show(one, jax.jit(op)(key, image), name)
    return figure


def mixtures() -> Figure:
    """Two photographs after what blanks or mixes them, with their labels."""
    batch = {"x": photos(48), "y": jnp.eye(2)}

    def alone(op):
        return lambda key, batch: batch | {"x": augment.batched(op)(key, batch["x"])}

    stages: dict[str, tuple[int, Callable]] = {
        "as they are": (0, lambda key, batch: batch),
        "Cutout": (1, alone(augment.cutout(20))),
        "Mixup": (SWAPS["mixup"], augment.mixup()),
        "CutMix": (SWAPS["cutmix"], augment.cutmix()),
        "AugMix": (2, alone(augment.augmix())),
    }
    figure, axes = panels(len(stages), 2, width=1.6, height=1.75)
    for column, (name, (seed, stage)) in zip(axes.T, stages.items(), strict=True):
        mixed = jax.jit(stage)(jax.random.key(seed), batch)
        for i, one in enumerate(column):
            show(one, mixed["x"][i], "" if i else name, words(mixed["y"][i]))
    return figure


def words(label: jax.Array) -> str:
    """`temple`, or `temple 63%, flower 37%`."""
    named = zip(CLASSES, label, strict=True)
    return ", ".join(f"{name} {share:.0%}" for name, share in named if share > 0.005)


def adversary() -> Figure:
    """Digits under attack, and the error of two networks as the attack grows."""
    (x, y), (x_test, y_test) = (
        (jnp.asarray(split["x"]), jnp.asarray(split["y"]))
        for split in (digits(), digits(test=True))
    )
    model = nn.mlp(10, hidden=(128, 128))

    def loss_on(params, y):
        return lambda x: losses.softmax_cross_entropy(model.apply(params, x), y)

    def trained(attack):
        def loss(params, key):
            moved = x
            if attack is not None:
                fixed = jax.lax.stop_gradient(params)
                moved = attack(key, {"x": x}, loss_on(fixed, y))["x"]
            return loss_on(params, y)(moved).mean()

        key = jax.random.key(0)
        return jax.jit(lambda: descend(loss, model.init(key, x), key, steps=150))()

    plain, robust = trained(None), trained(augment.pgd(0.1, 0.04, 4))

    def moved(params, attack):
        return attack(jax.random.key(1), {"x": x_test}, loss_on(params, y_test))["x"]

    @jax.jit
    def wrong(params, epsilon):
        attacks = augment.fgsm(epsilon), augment.pgd(epsilon, epsilon / 4, 10)
        outputs = jnp.stack([model.apply(params, moved(params, a)) for a in attacks])
        return 100 * (1 - jax.vmap(losses.accuracy, (0, None))(outputs, y_test).mean(1))

    figure, axes = panels(8, 2, width=1.2, height=1.55)
    rows = {"clean": x_test, "PGD, ε = 0.1": moved(plain, augment.pgd(0.1, 0.025, 10))}
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        said = model.apply(plain, images).argmax(-1)
        for i, one in enumerate(row[:5]):
            show(one, images[i], "", f"says {said[i]}")
        row[0].set_ylabel(name)
    right = figure.add_subplot(axes[0, 0].get_gridspec()[:, 5:])
    for one in axes[:, 5:].flat:
        one.remove()
    epsilons = jnp.linspace(0, 0.2, 9)
    for i, (name, params) in enumerate((("plain", plain), ("trained on PGD", robust))):
        fgsm, pgd = np.array([wrong(params, e) for e in epsilons]).T
        line(right, 2 * i, epsilons, fgsm, f"{name}, FGSM", linestyle="--")
        line(right, 2 * i, epsilons, pgd, f"{name}, PGD", linestyle="-")
    right.grid(alpha=0.25)
    right.spines[["top", "right"]].set_visible(False)
    right.set(xlabel="ε (white is 1)", ylabel="testing error (%)", ylim=(0, 100))
    right.legend(frameon=False, fontsize=8)
    return figure


FIGURES = {"augmentations": augmentations, "mixtures": mixtures, "adversary": adversary}
