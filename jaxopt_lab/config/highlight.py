"""A TOML file in colors, as HTML."""

import re

from jaxopt_lab.core.notebook import text

_TOKEN = re.compile(
    r"""(?P<header>^\[+[^\n]*\]+$)
    | (?P<key>^[^\n=]+?(?=\ =\ ))
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>(?<![\w."])[+-]?(?:\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|inf|nan|true|false)\b)""",
    re.MULTILINE | re.VERBOSE,
)
_STYLE = {
    "header": "color: #4C78A8; font-weight: 600",
    "key": "opacity: .85",
    "string": "color: #3D9A5F",
    "number": "color: #C2703D",
}


def highlighted(toml: str) -> str:
    """The file, as `to_toml` writes it, in a box; its colors are seen on light and dark."""
    parts, end = [], 0
    for match in _TOKEN.finditer(toml):
        parts.append(text(toml[end : match.start()]))
        parts.append(f'<span style="{_STYLE[str(match.lastgroup)]}">{text(match[0])}</span>')
        end = match.end()
    return f"<pre>{''.join(parts)}{text(toml[end:])}</pre>"
