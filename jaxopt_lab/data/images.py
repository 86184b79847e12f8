"""Encoded images to pixels: (H, W, C) uint8, upright, of one size and as many channels.

1. The EXIF orientation is applied.
2. 16-bit gray becomes 8-bit by round(v / 257), so that white stays white; of 16-bit color Pillow
   keeps the upper byte. Palettes, CMYK and other color spaces become RGB.
3. What is transparent is laid on white, unless alpha is asked for.
4. Gray is the luma of ITU-R 601, as everywhere in Pillow.
5. The size is reached by Pillow's bilinear filter, which averages where it shrinks.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxopt_lab.core.errors import require
from jaxopt_lab.core.ranges import Count

Resize = Literal["crop", "stretch", "pad"]
"""To another shape: "crop" covers it and cuts what is over at both ends, "stretch" changes the
proportions, "pad" fits the whole image in and fills with black."""

Size = Count | Sequence[Count]
"""In pixels: height and width, or one number for both."""

Channels = Literal[1, 3, 4]
"""Gray, color, color with alpha."""

_GRAY = ("1", "L", "LA", "La")
_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_WHITE_16 = 65_535


class Form(NamedTuple):
    """What images become.

    Attributes:
      size: (height, width) in pixels; None for each image's own.
      channels: 1 gray, 3 red green blue, 4 with alpha.
      resize: how the size is reached.
    """

    size: tuple[int, int] | None
    channels: int
    resize: Resize


class Unreadable(Exception):
    """An image that cannot be read; the text is the reason."""


@contextlib.contextmanager
def pillow() -> Iterator[None]:
    """While it is entered Pillow keeps its warnings to itself; what matters is raised.

    Raises:
      InputError: where Pillow is not installed.
    """
    require("PIL", "images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_gray(file: Any) -> bool:
    """Whether an image has one channel of color, by its header.

    Args:
      file: a path, or a stream of bytes.

    Raises:
      Unreadable: where it is no image, or one of too many pixels.
    """
    with _opened(file) as image:
        _refuse(image)
        return image.mode in _GRAY or image.mode.startswith("I")


def pixels_of(file: Any, form: Form) -> np.ndarray:
    """An image as (H, W, C) uint8.

    Args:
      file: a path, a stream of bytes, or an image of Pillow's.
      form: of the result.

    Raises:
      Unreadable: where it cannot be decoded.
    """
    with _opened(file) as image:
        _refuse(image)
        try:
            upright = _upright(image)
            return np.asarray(_sized(_colored(_in_bytes(upright), form.channels), form)).reshape(
                *(form.size or (upright.height, upright.width)), form.channels
            )
        except Exception as error:  # whatever a decoder says of a damaged file
            raise Unreadable(_reason(error)) from error


def _opened(file: Any) -> contextlib.AbstractContextManager[Any]:
    """An image that is closed in the end, unless it came as one."""
    from PIL import Image

    if isinstance(file, Image.Image):
        return contextlib.nullcontext(file)
    try:
        return Image.open(file)  # the header alone
    except Image.UnidentifiedImageError:
        raise Unreadable("no image that Pillow reads") from None
    except Exception as error:
        raise Unreadable(_reason(error)) from error


def _upright(image: Any) -> Any:
    """An image turned as its EXIF orientation says; itself where nothing is to be done."""
    from PIL import ExifTags, ImageOps

    image.load()  # what some formats say behind the pixels
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    return ImageOps.exif_transpose(image) if turned else image


def _reason(error: Exception) -> str:
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return f"too large: {str(error).partition('(')[2].partition(')')[0]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).partition("\n")[0] or type(error).__name__


def _refuse(image: Any) -> None:
    """Refuse what has no pixels of 8 or 16 bits, or is a program, whatever the file is called."""
    if image.format == "EPS":  # for which Pillow starts Ghostscript
        raise Unreadable("EPS, which is a program and not an image: save it as PNG")
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise Unreadable(f"pixels of 32 bits ({image.mode}), which have no white: save 8 or 16")


def _in_bytes(image: Any) -> Any:
    """An image of 8 bits a channel."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values * 255 + _WHITE_16 // 2) // _WHITE_16).astype(np.uint8))


def _colored(image: Any, channels: int) -> Any:
    from PIL import Image

    if channels == 4:
        return image.convert("RGBA")
    if image.mode in _ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if channels == 3:
        return image if image.mode == "RGB" else image.convert("RGB")
    return (image if image.mode in _GRAY else image.convert("RGB")).convert("L")


def _sized(image: Any, form: Form) -> Any:
    from PIL import Image, ImageOps

    if form.size is None or (image.height, image.width) == form.size:
        return image
    size, bilinear = (form.size[1], form.size[0]), Image.Resampling.BILINEAR
    if form.resize == "stretch":
        return image.resize(size, bilinear)
    if form.resize == "pad":
        return ImageOps.pad(image, size, bilinear)
    return ImageOps.fit(image, size, bilinear)
