"""A figure as a file's bytes."""

import io
import warnings

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
    with warnings.catch_warnings():
        # A letter that the font has not is drawn as a box: that a name is Chinese is no fault.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
