r"""SVG for a page: small, restylable, and safe to inline.

Whoever draws uses the first colour of each pair in :data:`COLOURS`, which nothing else uses; here it becomes a CSS
variable with the second as its default, so that one drawing serves light and dark pages.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
#: Colours as drawn (which nothing else may use), the variable that replaces each, and its default.
COLOURS = {
    "ink": ("#010101", "#1b1f24"),
    "muted": ("#020202", "#57606a"),
    "rule": ("#030303", "#d0d7de"),
    "noise": ("#040404", "#c4cbd3"),
    "first": ("#050505", "#005a9e"),
    "second": ("#060606", "#b34700"),
    "control": ("#070707", "#7b4a9e"),
    "confirmed": ("#080808", "#00634a"),
    "refuted": ("#090909", "#8a3a86"),
    "undecided": ("#0a0a0a", "#7a5700"),
    "failed": ("#0b0b0b", "#b3261e"),
}


def compacted(svg: str, *, title: str, description: str) -> str:
    """An SVG with only what is seen: no comments, unused ids, empty groups or digits beyond a tenth of a pixel.

    Parameters
    ----------
    svg : str
        As matplotlib writes it, with text as text.
    title, description : str
        For those who do not see the drawing.

    Returns
    -------
    str
        One ``svg`` element without width and height, for a page that sets them; equal input gives equal output.
    """
    root = ElementTree.fromstring(svg)
    prefix = f"f{zlib.crc32((title + svg).encode()):x}-"
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name: text for name, text in _attributes(element, prefix) if text}
        element.text, element.tail = (element.text or "").strip() or None, None
    _unwrap(root)
    root.attrib = {
        "xmlns": _SVG,
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": title,
        "font-family": "sans-serif",
    }
    for tag, text in (("desc", description), ("title", title)):
        root.insert(0, ElementTree.Element(tag))
        root[0].text = text
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(element: ElementTree.Element, prefix: str) -> Iterator[tuple[str, str]]:
    for name, text in element.attrib.items():
        name = name.rpartition("}")[2]
        if name == "id":
            yield name, prefix + text if element.tag in ("path", "clipPath") else ""
        elif name == "style":
            yield name, _restyled(text)
        elif name == "transform":
            yield name, "" if text.startswith("rotate(-0 ") else _rounded(text)
        else:
            yield (
                name,
                _rounded(text) if name in ("d", "x", "y", "width", "height") else text.replace("#", f"#{prefix}"),
            )


def _restyled(style: str) -> str:
    """Drop what the page decides (fonts) and defaults; name the colours."""
    kept = [
        part.strip()
        for part in style.split(";")
        if not re.match(r"\s*(font-family|stroke-dashoffset|stroke-linejoin)", part)
    ]
    out = ";".join(part.replace(": ", ":") for part in kept)
    for name, (drawn, default) in COLOURS.items():
        out = out.replace(drawn, f"var(--{name},{default})")
    return out


def _rounded(text: str) -> str:
    short = re.sub(r"-?\d+\.\d+", lambda m: f"{round(float(m[0]), 1) + 0.0:g}", text)
    return re.sub(r"\s*([MLQCz])\s*", r"\1", short)


def _unwrap(parent: ElementTree.Element) -> None:
    """Replace groups that carry nothing by their children; drop the style sheet and definitions that are empty."""
    children: list[ElementTree.Element] = []
    for child in parent:
        _unwrap(child)
        bare = child.tag in ("g", "defs") and not child.attrib and (child.tag == "g" or not len(child))
        children += list(child) if bare else [child] if child.tag != "style" else []
    parent[:] = children
