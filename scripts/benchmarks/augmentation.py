"""Augmentations of 32x32x3 images a second: ours and the peers in one run, interleaved, medians.

    python scripts/benchmarks/augmentation.py [--batch 1024] [--quick] [--step]

AugMix against the official pipeline in Pillow and NumPy, in two worker processes, and Keras' layer
on JAX; crop and flip against dm_pix under vmap, and against one pass over the images, which bounds
them; rotation against augmax and kornia; RandAugment, Mixup and CutMix against kornia's. A peer
that cannot be imported is named and left out. `--step` also times a ResNet-20 step with each and
without, for what they add to it.

What made the difference on CPU:
- Each operation computes its own part of the shuffled batch: under `vmap` a branch costs all of
  its sides.
- Histograms by a scatter with one flat index a pixel, declared in bounds; taps by a gather of flat
  positions, likewise.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps
from racing import Turn, medians, parser_of, record

from jaxopt_lab import augment


def peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a peer may fail in any way
        print(f"without {name}: {error!r}")
        return None


def photographs(n: int) -> np.ndarray:
    """Smooth random images: their content moves no timing but that of the sorting peers."""
    coarse = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3)).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize((32, 32), Image.Resampling.BICUBIC)) for c in coarse]
    )


def transformed(image: Image.Image, *data: float) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, data, resample=Image.Resampling.BILINEAR
    )


def pillow_augmix(image: np.ndarray) -> np.ndarray:
    """AugMix as published: one image, Pillow's operations, NumPy's draws."""
    draw = np.random

    def level(greatest: float) -> float:
        return draw.uniform(0.1, 3) * greatest / 10

    def signed(greatest: float) -> float:
        return level(greatest) * (1 if draw.uniform() > 0.5 else -1)

    operations = (
        lambda x: ImageOps.autocontrast(x),
        lambda x: ImageOps.equalize(x),
        lambda x: ImageOps.posterize(x, 4 - int(level(4))),
        lambda x: x.rotate(int(signed(30)), resample=Image.Resampling.BILINEAR),
        lambda x: ImageOps.solarize(x, 256 - int(level(256))),
        lambda x: transformed(x, 1, signed(0.3), 0, 0, 1, 0),
        lambda x: transformed(x, 1, 0, 0, signed(0.3), 1, 0),
        lambda x: transformed(x, 1, 0, int(signed(32 / 3)), 0, 1, 0),
        lambda x: transformed(x, 1, 0, 0, 0, 1, int(signed(32 / 3))),
    )
    weights, blend = draw.dirichlet([1] * 3).astype(np.float32), np.float32(draw.beta(1, 1))
    mixture = np.zeros(image.shape, np.float32)
    for weight in weights:
        x = Image.fromarray(image)
        for _ in range(draw.randint(1, 4)):
            x = operations[draw.randint(len(operations))](x)
        mixture += weight * (np.asarray(x, np.float32) / 255)
    return (1 - blend) * (np.float32(image) / 255) + blend * mixture


def pillow_batch(images: np.ndarray) -> np.ndarray:
    return np.stack([pillow_augmix(image) for image in images])


def with_jax(f: Callable[..., Any], x: Any) -> Turn:
    keys = [jax.random.key(i) for i in range(16)]
    compiled, calls = jax.jit(f), iter(range(10**9))
    return lambda: jax.block_until_ready(compiled(keys[next(calls) % 16], x))


def per_image(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda key, x: jax.vmap(f)(jax.random.split(key, x.shape[0]), x)


def contestants(images: np.ndarray, pool: Any) -> dict[str, dict[str, Turn]]:
    """`{task: {who: run}}`; ours comes first."""
    pix, augmax, keras, kornia = map(peer, ("dm_pix", "augmax", "keras", "kornia"))
    torch = peer("torch") if kornia else None
    x, floats = jnp.asarray(images), jnp.asarray(images, jnp.float32) / 255
    halves = np.array_split(images, 2)
    crop_flip = augment.compose(augment.random_crop(4), augment.random_flip())
    tasks: dict[str, dict[str, Turn]] = {
        "augmix": {
            "ours": with_jax(augment.batched(augment.augmix()), x),
            "ours, exact_iid": with_jax(augment.batched(augment.augmix(exact_iid=True)), x),
            "Pillow, 2 processes": lambda: pool.map(pillow_batch, halves),
        },
        "crop + flip": {"ours": with_jax(augment.batched(crop_flip), floats)},
        "crop + flip, bytes": {"ours": with_jax(augment.batched(crop_flip), x)},
        "rotate": {"ours": with_jax(augment.batched(augment.random_rotate(30.0)), floats)},
        "rand_augment": {"ours": with_jax(augment.batched(augment.rand_augment()), floats)},
    }
    # A share of its own for each image, as kornia draws them; labels are mixed too.
    batch = {"x": floats, "y": jnp.eye(10)[jnp.arange(len(images)) % 10]}
    for name, mix in (("mixup", augment.mixup), ("cutmix", augment.cutmix)):
        tasks[name] = {"ours": with_jax(mix(per_sample=True), batch)}
        tasks[name]["x + 1, a bound"] = with_jax(lambda _, x: x + 1, floats)
    for task, given in (("crop + flip", floats), ("crop + flip, bytes", x)):
        tasks[task]["x + 1, a bound"] = with_jax(lambda _, x: x + 1, given)
    if keras is not None:
        layer = keras.layers.AugMix(value_range=(0, 1), seed=0)
        tasks["augmix"]["Keras on JAX"] = lambda: jax.block_until_ready(
            layer(floats, training=True)
        )
    if pix is not None:

        def crop_and_flip(key, image):
            crop, flip = jax.random.split(key)
            padded = jnp.pad(image, ((4, 4), (4, 4), (0, 0)))
            return pix.random_flip_left_right(flip, pix.random_crop(crop, padded, image.shape))

        for task, given in (("crop + flip", floats), ("crop + flip, bytes", x)):
            tasks[task]["dm_pix"] = with_jax(per_image(crop_and_flip), given)
    if augmax is not None:
        turn = augmax.Chain(augmax.Rotate((-30, 30), p=1.0))
        tasks["rotate"]["augmax"] = with_jax(per_image(turn), floats)
    if torch is not None:
        nchw = torch.from_numpy(np.asarray(floats).transpose(0, 3, 1, 2).copy())
        rotate = kornia.augmentation.RandomRotation(30.0, p=1.0)
        policy = kornia.augmentation.auto.RandAugment(n=2, m=9)
        tasks["rotate"]["kornia"] = lambda: rotate(nchw)
        tasks["rand_augment"]["kornia"] = lambda: policy(nchw)
        labels, how = torch.arange(len(images)) % 10, {"p": 1.0, "data_keys": ["input", "class"]}
        mixup = kornia.augmentation.RandomMixUpV2(**how)
        cutmix = kornia.augmentation.RandomCutMixV2(use_correct_lambda=True, **how)
        tasks["mixup"]["kornia"] = lambda: mixup(nchw, labels)
        tasks["cutmix"]["kornia"] = lambda: cutmix(nchw, labels)
    return tasks


def in_turn(runs: dict[str, Turn], repeats: int) -> dict[str, float]:
    """Median seconds of each that works with what is installed."""
    working = {}
    for name, run in runs.items():
        try:
            run()
            working[name] = run
        except Exception as error:
            print(f"without {name}: {error!r}"[:200])
    return medians(working, repeats, pause=0.02, shuffle=True)


def steps(images: np.ndarray, repeats: int) -> None:
    """What each augmentation adds to a ResNet-20 step of 128 images, in percent."""
    import optax

    from jaxopt_lab import engine, losses, nn, optimizers

    key, batch = jax.random.key(0), {"x": jnp.asarray(images[:128])}
    batch["y"] = jnp.arange(128) % 10
    model, sgd = nn.resnet(outputs=10, depth=20), optimizers.momentum(0.1)
    forward = engine.Forward(
        model, lambda x: x.astype(jnp.float32) / (255 if x.dtype == jnp.uint8 else 1)
    )
    state = engine.init_state(
        key, forward, optax.with_extra_args_support(sgd), jnp.zeros((1, 32, 32, 3))
    )
    ops = {"none": None, "crop + flip": (augment.random_crop(), augment.random_flip())}
    ops |= {"augmix": (augment.augmix(),), "rand_augment": (augment.rand_augment(),)}

    def on_images(op):
        f = augment.batched(op)
        return lambda key, batch: batch | {"x": f(key, batch["x"])}

    runs = {}
    for name, chosen in ops.items():
        loss = losses.softmax_cross_entropy
        op = on_images(augment.compose(*chosen)) if chosen else None
        step = engine.make_step(
            forward,
            engine.Objective(loss),
            sgd,
            prepare=engine.make_prepare(forward, loss, augment=op),
        )
        compiled = jax.jit(step)
        runs[name] = lambda compiled=compiled: jax.block_until_ready(compiled(state, batch))
    t = in_turn(runs, repeats)
    record("a ResNet-20 step of 128", t, "seconds")
    print(f"\na ResNet-20 step of 128: {1e3 * t['none']:.0f} ms")
    for name in list(t)[1:]:
        print(f"  {name:14} adds {100 * (t[name] / t['none'] - 1):5.1f} %")


def main() -> None:
    parser = parser_of(__doc__, (), "fewer repeats")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--step", action="store_true", help="in a ResNet-20 step too")
    given = parser.parse_args()
    repeats, images = 5 if given.quick else 21, photographs(given.batch)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        tasks = contestants(images, pool)
        print(f"jax {jax.__version__}, {jax.default_backend()}, batches of {given.batch}; images/s")
        for task, runs in tasks.items():
            t = in_turn(runs, repeats)
            print(f"\n{task}")
            record(task, {who: given.batch / seconds for who, seconds in t.items()}, "images/s")
            for who, seconds in t.items():
                ratio = f"{seconds / t['ours']:9.1f} x ours' time"
                print(f"  {who:20}{given.batch / seconds:12,.0f}{ratio}", flush=True)
    if given.step:
        steps(images, max(3, repeats // 4))


if __name__ == "__main__":
    main()
