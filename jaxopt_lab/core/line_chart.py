"""A curve as an SVG image, in the colors of the page around it."""

import math
from collections.abc import Sequence

from jaxopt_lab.core.notebook import text

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 10, 36
LINE = "#4C78A8"


def line_chart(x: Sequence[float], y: Sequence[float], x_name: str, y_name: str) -> str:
    """A curve with its axes; "" where there are not two finite points.

    Args:
      x, y: the points, x rising.
      x_name, y_name: of the axes.
    """
    points = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(points) < 2:
        return ""
    xs, ys = _ticks([a for a, _ in points]), _ticks([0.0, *(b for _, b in points)])

    def across(value: float) -> float:
        low, high = points[0][0], points[-1][0]
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low or 1)

    def up(value: float) -> float:
        low, high = ys[0], max(ys[-1], max(b for _, b in points))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low or 1)

    floor, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    grid = [f'<path d="M{LEFT} {up(v):.1f}H{end}" opacity=".18"/>' for v in ys[1:]]
    words = [
        f'<text x="{LEFT - 6}" y="{up(v) + 3.5:.1f}" text-anchor="end">{v:.6g}</text>' for v in ys
    ]
    words += [
        f'<text x="{across(v):.1f}" y="{floor + 14}" text-anchor="middle">{v:,.6g}</text>'
        for v in xs
        if points[0][0] <= v <= points[-1][0]
    ]
    words.append(
        f'<text x="{(LEFT + end) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{text(x_name)}</text>'
    )
    words.append(
        f'<text transform="translate(11 {(TOP + floor) / 2}) rotate(-90)" text-anchor="middle">'
        f"{text(y_name)}</text>"
    )
    way = "L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in points)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{text(y_name)} over {text(x_name)}" font-size="10" fill="none" '
        f'stroke="currentColor">{"".join(grid)}<path d="M{LEFT} {TOP}V{floor}H{end}" '
        f'opacity=".6"/><g fill="currentColor" stroke="none" opacity=".85">{"".join(words)}</g>'
        f'<path d="M{way}" stroke="{LINE}" stroke-width="1.8" stroke-linejoin="round"/></svg>'
    )


def _ticks(values: Sequence[float], most: int = 5) -> list[float]:
    """Round numbers from the least value or below it, `most` or so of them, up to the largest."""
    low, high = min(values), max(values)
    if high == low:
        return [low, low + 1] if low == 0 else [0.0, low]
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    return [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]
