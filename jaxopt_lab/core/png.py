"""An image as a PNG file, by the standard library alone."""

import struct
import zlib

import numpy as np

_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels to PNG's type of color


def png_of(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file.

    Args:
      pixels: (H, W, C) uint8, C in 1 to 4: gray, gray and alpha, RGB, RGBA.

    Reference: the PNG specification, https://www.w3.org/TR/png/
    """
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLORS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
