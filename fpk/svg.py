r"""SVG for a page: small, restylable, and safe to inline.

Whoever draws uses the colours in :data:`COLOURS`, which nothing else uses; here each becomes a CSS variable of the page,
so that one drawing serves light and dark pages. What neighbours share is written once: lines of one style become one path, other
elements of one style a group.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree

import numpy as np

#: The colours of the page by the variable that holds them, and how they are drawn (nothing else may use these).
COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "rule": "#030303",
    "noise": "#040404",
    "first": "#050505",
    "second": "#060606",
    "control": "#070707",
    "confirmed": "#080808",
    "refuted": "#090909",
    "undecided": "#0a0a0a",
    "failed": "#0b0b0b",
}
#: Size of text that does not say its own.
FONT_SIZE = 11.5
_DEFAULTS = {
    "font-family", "stroke-dashoffset", "stroke-linejoin", "fill: none", "text-anchor: start", f"font-size: {FONT_SIZE}px",
}  # fmt: skip
_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


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
        One ``svg`` element without width and height, for a page that sets them and defines the colours; equal input gives equal output.
    """
    root = ElementTree.fromstring(svg)
    named = _namer(f"f{zlib.crc32((title + svg).encode()):x}")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name: text for name, text in _attributes(element, named) if text}
        element.text, element.tail = (element.text or "").strip() or None, None
    _unwrap(root)
    return _finished(root, root.attrib["viewBox"], title, description)


def _finished(root: ElementTree.Element, box: str, title: str, description: str) -> str:
    """The element with what its neighbours share, and with words for those who do not see it."""
    _share(root)
    name = f"f{zlib.crc32((title + description).encode() + ElementTree.tostring(root)):x}"
    root.attrib = {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{name}_t {name}_d",
        "font-family": "sans-serif",
        "font-size": f"{FONT_SIZE}",
        "fill": "none",
    }
    for tag, text in (("desc", description), ("title", title)):
        root.insert(0, ElementTree.Element(tag, {"id": f"{name}_{tag[0]}"}))
        root[0].text = text
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


class Sheet:
    """A simple drawing of lines, marks and text, y downwards, in the units of the page.

    Parameters
    ----------
    width, height : float
        Of the drawing. Colours are names in :data:`COLOURS`.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._root = ElementTree.Element("svg")

    def line(self, x: float, y: float, dx: float, dy: float, *, colour: str, width: float, dash: str = "") -> None:
        """A line from (x, y) to (x + dx, y + dy)."""
        self._path(f"M{_pair(x, y)}l{_pair(dx, dy)}", _stroke(colour, width, dash))

    def curve(
        self, x: np.ndarray, y: np.ndarray, *, colour: str, width: float, dash: str = "", opacity: float = 1.0
    ) -> None:
        """A line through the points."""
        faint = f";stroke-opacity:{opacity:g}" if opacity < 1 else ""
        self._path(_shortest(_lines(x, y)), _stroke(colour, width, dash) + faint)

    def mark(self, x: float, y: float, shape: str, *, colour: str, filled: bool) -> None:
        """A closed path with relative steps from (x, y)."""
        fill = f";fill:var(--{colour})" if filled else ""
        self._path(f"M{_pair(x, y)}{shape}", _stroke(colour, 1.6) + fill)

    def area(self, x: float, y: float, width: float, height: float, *, colour: str, opacity: float = 1.0, edge: str = "") -> None:  # fmt: skip
        """A rectangle from its upper left corner, with a thin outline if ``edge`` names its colour."""
        across, down, back = (_tenths([round(10 * length)]) for length in (width, height, -width))
        self._path(f"M{_pair(x, y)}h{across}v{down}h{back}z", _fill(colour, opacity, edge))

    def patch(self, x: np.ndarray, y: np.ndarray, *, colour: str, opacity: float = 1.0, edge: str = "") -> None:
        """What lies within a closed line through the points, outlined as :meth:`area` is."""
        self._path(f"{_shortest(_lines(x, y))}z", _fill(colour, opacity, edge))

    def bar(self, x: float, y: float, length: float) -> None:
        """A grey bar to the right of x, its middle at height y; outlined, as grey alone is faint."""
        if length > 0:
            self.area(x, y - 3.5, length, 7, colour="noise", edge="muted")

    def _path(self, d: str, style: str) -> None:
        ElementTree.SubElement(self._root, "path", {"d": d, "style": style})

    def text(
        self, x: float, y: float, text: str, *, colour: str = "ink", anchor: str = "start", bold: bool = False, upwards: bool = False
    ) -> None:  # fmt: skip
        """One line of text, its middle at height y; read upwards, at x."""
        placed = f";text-anchor:{anchor}" if anchor != "start" else ""
        style = f"fill:var(--{colour}){placed}{';font-weight:700' if bold else ''}"
        place = {"x": f"{x:.1f}", "y": f"{y + 0.35 * FONT_SIZE:.1f}", "style": style}
        if upwards:
            place["transform"] = f"rotate(-90 {x:.1f} {y:.1f})"
        ElementTree.SubElement(self._root, "text", place).text = text

    def svg(self, title: str, description: str) -> str:
        """The finished element, as :func:`compacted` makes them; the sheet is used up."""
        return _finished(self._root, f"0 0 {self.width:g} {self.height:g}", title, description)


def _stroke(colour: str, width: float, dash: str = "") -> str:
    return f"stroke:var(--{colour});stroke-width:{width:g}" + (f";stroke-dasharray:{dash}" if dash else "")


def _fill(colour: str, opacity: float, edge: str) -> str:
    faint = f";fill-opacity:{opacity:g}" if opacity < 1 else ""
    return (f"{_stroke(edge, 0.8)};" if edge else "") + f"fill:var(--{colour}){faint}"


def _lines(x: np.ndarray, y: np.ndarray) -> str:
    return "".join(f"{'L' if k else 'M'}{a:.1f} {b:.1f}" for k, (a, b) in enumerate(zip(x, y, strict=True)))


def _pair(x: float, y: float) -> str:
    return _tenths([round(10 * x), round(10 * y)])


def _namer(prefix: str) -> Callable[[str], str]:
    """Short ids, unique on a page: a prefix and a number for each id."""
    known: dict[str, str] = {}
    return lambda id: known.setdefault(id, f"{prefix}-{len(known)}")


def _attributes(element: ElementTree.Element, named: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for name, text in element.attrib.items():
        name = name.rpartition("}")[2]
        if name == "id":
            yield name, named(text) if element.tag in ("path", "clipPath") else ""
        elif name == "style":
            yield name, _restyled(text)
        elif name == "d":
            yield name, _shortest(text)
        elif name == "transform":
            yield name, "" if text.startswith("rotate(-0 ") else _rounded(text)
        elif name in ("x", "y", "width", "height"):
            yield name, _rounded(text)
        else:
            yield name, re.sub(r"#([\w-]+)", lambda match: f"#{named(match[1])}", text)


def _restyled(style: str) -> str:
    """Drop what the page decides (fonts) and defaults; name the colours."""
    parts = [part.strip() for part in style.split(";")]
    kept = [part for part in parts if not _DEFAULTS & {part, part.partition(":")[0]}]
    out = re.sub(r"\b0\.", ".", ";".join(part.replace(": ", ":") for part in kept))
    for name, drawn in COLOURS.items():
        out = out.replace(drawn, f"var(--{name})")
    return out


def _rounded(text: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda m: f"{round(float(m[0]), 1) + 0.0:g}", text)


# -- paths -------------------------------------------------------------------------------------------------------------


def _shortest(d: str) -> str:
    """The shortest way to write a path in tenths of a pixel."""
    commands = [
        (c, np.rint(10 * np.array(re.findall(_NUMBER, n), float))) for c, n in re.findall(r"([MLQCz])([^MLQCz]*)", d)
    ]
    letters = "".join(c for c, _ in commands)
    if letters == "MCCCCCCCCz":
        return _circle(float(commands[0][1][1]))
    return (
        _relative(commands) if not set(letters) - set("MLz") else re.sub(r"\s*([MLQCz])\s*", r"\1", _rounded(d)).strip()
    )


def _circle(radius: float) -> str:
    """Matplotlib's circle of eight cubic arcs about the origin, which begins at its lowest point, as two arcs."""
    r, width = _tenths([radius]), _tenths([2 * radius])
    return f"M-{r} 0a{r} {r} 0 1 0 {width} 0a{r} {r} 0 1 0-{width} 0z"


def _relative(commands: Sequence[tuple[str, np.ndarray]]) -> str:
    """Lines as steps: the places are rounded first, so that no error adds up."""
    out, here, start = [], np.zeros(2), np.zeros(2)
    for letter, place in commands:
        if letter == "z":
            out.append(("z", []))
            here = start
            continue
        step = place - here
        if letter == "M":
            out.append(("m" if out else "M", list(step)))
            start = place
        elif step[0] and step[1]:
            out.append(("l", list(step)))
        elif step.any():
            out.append(("h" if step[0] else "v", [step.sum()]))
        here = place
    return "".join(_written(letter, [n for _, own in run for n in own]) for letter, run in groupby(out, lambda c: c[0]))


def _written(letter: str, numbers: Sequence[float]) -> str:
    """A run of one command; steps along an axis in one direction are one step. A second pair after a move would be a line."""
    if letter == "m":
        return "".join(letter + _tenths(numbers[k : k + 2]) for k in range(0, len(numbers), 2))
    if letter in "hv":
        numbers = [sum(run) for _, run in groupby(numbers, np.sign)]
    return letter + _tenths(numbers)


def _tenths(numbers: Sequence[float]) -> str:
    """Tenths as decimals, with nothing between two numbers that can be told apart without it."""
    out, last = "", ""
    for number in numbers:
        text = re.sub(r"^(-?)0\.", r"\1.", f"{number / 10 + 0.0:.10g}")
        apart = not last or text[0] == "-" or (text[0] == "." and "." in last)
        out, last = out + ("" if apart else " ") + text, text
    return out


# -- what neighbours share ---------------------------------------------------------------------------------------------


def _unwrap(parent: ElementTree.Element) -> None:
    """Replace groups that carry nothing by their children; drop the style sheet, definitions that are empty and paths without ink."""
    children: list[ElementTree.Element] = []
    for child in parent:
        _unwrap(child)
        bare = child.tag in ("g", "defs") and not child.attrib and (child.tag == "g" or not len(child))
        unseen = child.tag == "style" or (child.tag == "path" and not {"style", "id"} & set(child.attrib))
        children += list(child) if bare else [] if unseen else [child]
    parent[:] = children


def _share(parent: ElementTree.Element) -> None:
    """Join lines of one style that follow each other; group other neighbours of one style."""
    children: list[ElementTree.Element] = []
    for (style, clip), run in groupby(parent, lambda e: (e.get("style", ""), e.get("clip-path", ""))):
        alike = _joined(list(run))
        if (
            style and len(alike) > 1 and not re.search(r"(?<!-)opacity", style)
        ):  # opacity itself is a group's as a whole
            group = ElementTree.Element("g", {"style": style} | ({"clip-path": clip} if clip else {}))
            for one in alike:
                one.attrib = {name: text for name, text in one.attrib.items() if name not in ("style", "clip-path")}
            group.extend(alike)
            alike = [group]
        children += alike
    parent[:] = children


def _joined(alike: Sequence[ElementTree.Element]) -> list[ElementTree.Element]:
    """Neighbouring opaque lines in one path, where that looks the same."""
    out: list[ElementTree.Element] = []
    for element in alike:
        last = out[-1] if out else None
        if last is not None and last.tag == element.tag == "path" and _mere_line(last) and _mere_line(element):
            last.set("d", last.get("d", "") + element.get("d", ""))
        else:
            out.append(element)
    return out


def _mere_line(path: ElementTree.Element) -> bool:
    style = path.get("style", "")
    return "id" not in path.attrib and "fill" not in style and "opacity" not in style
