"""A data set as a notebook shows it: its splits, its classes, and a row of samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_lab.core.declare import Targets
from jaxopt_lab.core.notebook import fragment, picture, pictures, table
from jaxopt_lab.core.png import png_of
from jaxopt_lab.data.feature_names import feature_names

if TYPE_CHECKING:
    from jaxopt_lab.data.dataset import Dataset  # which shows itself by this

_CLASSES, _SAMPLES, _ROWS, _COLUMNS = 20, 10, 5, 8
_WIDTH = 72  # of a sample on the page
_PIXELS = 144  # of a sample at most


def in_words(dataset: "Dataset", targets: Targets) -> str:
    """A data set in a few lines, without its arrays."""
    lines = [f"<Dataset of {_targets(dataset, targets)}"]
    lines += [f"  {name}: {_size(split)}" for name, split in _splits(dataset).items()]
    return "\n".join(lines) + ">"


def in_html(dataset: "Dataset", targets: Targets) -> str:
    """The same with the number of samples of each class, and some of them."""
    splits = _splits(dataset)
    sizes = [
        (name, f"{len(split['y']):,}", _kind(split["x"]), _kind(split["y"]))
        for name, split in splits.items()
    ]
    return fragment(
        f"Dataset of {_targets(dataset, targets)}",
        "",
        [
            table(("split", "samples", "x", "y"), sizes),
            _counts(dataset, splits, targets),
            _samples(dataset, targets),
        ],
        soft=dataset.notes,
    )


def _splits(dataset: "Dataset") -> dict[str, Mapping[str, Any]]:
    test = {} if dataset.test is None else {"test": dataset.test}
    return {"train": dataset.train, **test}


def _targets(dataset: "Dataset", targets: Targets) -> str:
    return targets if targets == "numbers" else f"{len(dataset.classes):,} {targets}"


def _size(split: Mapping[str, Any]) -> str:
    return f"{len(split['y']):,} samples, x {_kind(split['x'])}, y {_kind(split['y'])}"


def _kind(values: Any) -> str:
    """`8 x 8 x 1 uint8`, of one sample."""
    return f"{' x '.join(map(str, values.shape[1:]))} {values.dtype}".strip()


def _counts(dataset: "Dataset", splits: Mapping[str, Mapping[str, Any]], targets: Targets) -> str:
    """A row a class with its samples of each split; of numbers their range."""
    if targets == "numbers":
        rows = [(name, *_range(np.asarray(split["y"]))) for name, split in splits.items()]
        return table(("y", "least", "mean", "largest"), rows)
    classes = dataset.classes
    counts = [_count(np.asarray(split["y"]), len(classes)) for split in splits.values()]
    rows = [
        (name, *(f"{of_split[k]:,.6g}" for of_split in counts))
        for k, name in enumerate(classes[:_CLASSES])
    ]
    if len(classes) > _CLASSES:
        rest = (f"{of_split[_CLASSES:].sum():,.6g}" for of_split in counts)
        rows.append((f"{len(classes) - _CLASSES:,} more", *rest))
    return table((targets.removesuffix("es" if targets == "classes" else "s"), *splits), rows)


def _count(y: np.ndarray, classes: int) -> np.ndarray:
    """Samples of each class; of labels and of distributions their sums."""
    return np.bincount(y, minlength=classes) if y.ndim == 1 else y.sum(0)


def _range(y: np.ndarray) -> tuple[str, str, str]:
    if not y.size:
        return "-", "-", "-"
    return f"{np.nanmin(y):.4g}", f"{np.nanmean(y, dtype=np.float64):.4g}", f"{np.nanmax(y):.4g}"


def _samples(dataset: "Dataset", targets: Targets) -> str:
    """Images with their targets below, as many classes as there is room for; of columns rows."""
    x, y = dataset.train["x"], np.asarray(dataset.train["y"])
    if not len(y):
        return ""
    if len(x.shape) == 4 and x.shape[-1] in (1, 3, 4):
        images = np.asarray(x[np.array(list(_chosen(y, targets)))])
        return pictures(
            picture(
                f"sample {i}", png, width=_WIDTH, pixels=True, below=_word(target, dataset, targets)
            )
            for i, (png, target) in enumerate(
                zip(map(png_of, _bytes(images)), y[list(_chosen(y, targets))], strict=True)
            )
        )
    if len(x.shape) != 2:
        return ""
    names = feature_names(dataset.columns) or [f"x[{i}]" for i in range(x.shape[1])]
    rows = np.asarray(x[np.arange(min(_ROWS, len(y)))])[:, :_COLUMNS]
    more = x.shape[1] - _COLUMNS
    head = [*names[:_COLUMNS], *([f"{more:,} more"] if more > 0 else []), "y"]
    cells = [
        [
            *(f"{v:.4g}" for v in row),
            *(["..."] if more > 0 else []),
            _word(target, dataset, targets),
        ]
        for row, target in zip(rows, y, strict=False)
    ]
    return table(head, cells, left=0)


def _chosen(y: np.ndarray, targets: Targets) -> Iterator[int]:
    """The first sample of each of the first classes, then others, `_SAMPLES` in all."""
    first = []
    if targets == "classes" and y.ndim == 1:
        first = np.unique(y, return_index=True)[1][:_SAMPLES].tolist()
    others = (i for i in range(len(y)) if i not in first)
    yield from first
    yield from (i for _, i in zip(range(_SAMPLES - len(first)), others, strict=False))


def _bytes(images: np.ndarray) -> np.ndarray:
    """Images as uint8, of not more pixels than are seen; floats are stretched to [0, 1]."""
    step = -(-max(images.shape[1:3]) // _PIXELS)
    images = images[:, ::step, ::step]
    if images.dtype == np.uint8:
        return images
    images = np.nan_to_num(images.astype(np.float32))
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        images = (images - low) / max(high - low, 1e-12)
    return np.round(255 * images).astype(np.uint8)


def _word(target: Any, dataset: "Dataset", targets: Targets) -> str:
    if targets == "numbers":
        return ", ".join(f"{number:.3g}" for number in np.ravel(target)[:3])
    if np.ndim(target) == 0:
        return dataset.classes[int(target)]
    if targets == "classes":
        return dataset.classes[int(np.argmax(target))]
    there: Sequence[str] = [n for n, own in zip(dataset.classes, target, strict=True) if own]
    return ", ".join(there) or "-"
