"""A figure as a file's bytes."""

import io

from matplotlib.figure import Figure


def figure_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file, in the figure's own resolution.

    To be written whole, so that no reader finds half a picture, or set into a page.

    Args:
      figure: what a function of this family gives.

    Returns:
      The bytes.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
