r"""Rendering: records, formulas and texts through templates, escaped for the page or the Markdown they go to.

Texts come from catalogues, so everything is escaped; formulas are checked element by element and shown as TeX when anything in them is not
plain MathML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from fpk.sections import verdict_text
from fpk.wording import UNSEEN, number_text, one_line

#: Symbols of the verdicts and of remarks, so that no badge relies on its colour.
SYMBOLS = {"CONFIRMED": "=", "REFUTED": "≠", "UNDECIDED": "?", "CRASHED": "!", "MISSING": "∅", "WORDING": "¶"}
#: TeX longer than this is shown as it is.
LONGEST_FORMULA = 1000

# fmt: off
_MATHML = frozenset(
    ("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom",
     "msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "menclose", "mmultiscripts")
)
_MATHML_ATTRIBUTES = frozenset(
    ("display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "form", "separator", "largeop",
     "movablelimits", "minsize", "maxsize", "width", "height", "depth", "linethickness", "accent", "accentunder",
     "columnalign", "columnspacing", "rowspacing", "linebreak", "lspace", "rspace", "notation")
)
# fmt: on


def mathml(tex: str) -> Markup:
    r"""A formula as MathML; as TeX in ``<code>`` when it cannot be translated or is not plain MathML afterwards.

    Examples
    --------
    >>> mathml("x")
    Markup('<math display="block"><mrow><mi>x</mi></mrow></math>')
    >>> mathml(r"\text{<script>}")
    Markup('<code>\\text{&lt;script&gt;}</code>')
    """
    if not tex.strip():
        return Markup("")
    try:
        root = ElementTree.fromstring(convert(tex[: LONGEST_FORMULA + 1], display="block"))
    except Exception:  # the translator fails in many ways (IndexError among them) on TeX it does not know
        return _tex(tex)
    if len(tex) > LONGEST_FORMULA or not all(_plain(element) for element in root.iter()):
        return _tex(tex)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _tex(tex: str) -> Markup:
    return Markup("<code>{}</code>").format(tex[: 10 * LONGEST_FORMULA])


def _plain(element: ElementTree.Element) -> bool:
    """Whether an element is MathML without unknown commands left in it; drops its namespace and doubtful attributes."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {name: value for name, value in element.attrib.items() if name in _MATHML_ATTRIBUTES}
    return element.tag in _MATHML and "\\" not in (element.text or "")


def time_text(seconds: float) -> str:
    """A duration for people.

    Examples
    --------
    >>> time_text(8.25), time_text(125)
    ('8.2 s', '2 min 5 s')
    """
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def markdown_text(text: object) -> object:
    r"""Plain text within a Markdown table or paragraph, on one line; Markup and what is not text are left as they are.

    Examples
    --------
    >>> print(markdown_text("<b> | `x` & &lt;"))
    \<b\> \| \`x\` & \&lt;
    """
    if isinstance(text, Markup) or not isinstance(text, str):
        return text
    flat = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text)
    return re.sub(r"([\\`*\[\]<>|$~]|&(?=#?\w+;))", r"\\\1", flat)


def _fenced(text: str) -> Markup:
    """Text for a code block: without the fence that would end it."""
    return Markup(re.sub("`{3,}", "``", text))


@lru_cache(maxsize=2)
def _environment(is_page: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("fpk"),
        autoescape=is_page,
        finalize=None if is_page else markdown_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["symbols"] = SYMBOLS
    environment.filters |= {
        "number": number_text,
        "mathml": mathml,
        "verdict": verdict_text,
        "time": time_text,
        "fenced": _fenced,
        "cut": one_line,
    }
    return environment


def rendered(name: str, context: Mapping[str, Any]) -> str:
    """A template with its values: ``.html`` escapes for a page, everything else for Markdown.

    Parameters
    ----------
    name : str
        A file of ``fpk/templates``.
    context : mapping
        What the template names; a name that is missing is an error.

    Returns
    -------
    str
        Without :data:`fpk.wording.UNSEEN` characters; a lone surrogate, which no file can hold, is a question mark.
    """
    text = _environment(name.endswith(".html")).get_template(name).render(context)
    return UNSEEN.sub("\ufffd", text.encode("utf-8", "replace").decode())


def json_text(value: object) -> str:
    r"""Strict JSON on one line that is safe to look at: what is not seen but does something is written as an escape.

    Examples
    --------
    >>> print(json_text({"α": "\x1b[31m"}))
    {"α": "\u001b[31m"}
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(f"{UNSEEN.pattern[:-1]}\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
