"""A figure as a picture."""

import io

from matplotlib.figure import Figure


def figure_png(figure: Figure) -> bytes:
    """The bytes of a PNG file of a figure, at its own size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
