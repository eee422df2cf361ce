"""A chart as a value, and its drawings.

The specification is Vega-Lite; `vl-convert` draws it in this process, without network
and without a browser. The same value gives the drawings of pages and of documents.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

import orjson
import vl_convert
from markupsafe import Markup

from backend.dashboards.charts import palette

Json: TypeAlias = (
    "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
)
Spec: TypeAlias = dict[str, Json]

WIDE = 1040
NARROW = 340

_LABELLED = re.compile(
    r'<path aria-label="([^"]*)" role="graphics-symbol"'
    r' aria-roledescription="[^"]*"([^>]*?)/>'
)
_ID = re.compile(r'(id="|url\(#)(clip)')
_OPENING = re.compile(r"^<svg[^>]*?width=\"([\d.]+)\" height=\"([\d.]+)\"[^>]*>")

# Lines at 45 degrees; documents need it in the drawing, so pages have it there too.
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M-1 1L1-1M0 6L6 0M5 7L7 5" '
    f'stroke="{palette.SILENCE}" stroke-width="1"/></pattern></defs>'
)


@dataclass(frozen=True)
class Chart:
    """A picture, the sentence that stands for it, and the numbers behind it.

    `wide` and `narrow` show the same data, for a screen or paper and for a phone.
    """

    title: str
    summary: str
    wide: Spec
    narrow: Spec
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def warm() -> None:
    """Start the drawing engine: the first drawing takes .8 s, later ones .06 s."""
    _draw(orjson.dumps(framed({"data": {"values": []}, "mark": "point"}, width=10)))


def framed(spec: Mapping[str, Json], *, width: int) -> Spec:
    """Return `spec` with the house's type, colours and grid."""
    axis: Spec = {
        "labelColor": palette.SOFT,
        "titleColor": palette.SOFT,
        "domainColor": palette.LINE,
        "gridColor": palette.LINE,
        "tickColor": palette.LINE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    config: Spec = {
        "font": "system-ui, sans-serif",
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "padding": {"left": 0, "top": 6, "right": 14, "bottom": 8},
        "aria": True,
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": config,
        **spec,
    }


def inline_svg(chart: Chart, *, narrow: bool = False) -> Markup:
    """Return the drawing for a page: titled, without ids that could collide."""
    spec = chart.narrow if narrow else chart.wide
    return _titled(orjson.dumps(spec), chart.title, chart.summary)


def document_svg(chart: Chart, *, width: int | None = None) -> bytes:
    """Return the wide drawing, so many pixels wide, for a document, else the narrow
    one; in the light colours."""
    spec = chart.narrow if width is None else {**chart.wide, "width": width}
    return _draw(orjson.dumps(spec)).encode()


@lru_cache(maxsize=512)
def _titled(spec: bytes, title: str, summary: str) -> Markup:
    drawing = _draw(spec)
    name = "chart-" + sha256(spec + title.encode()).hexdigest()[:10]
    drawing = _ID.sub(rf"\1{name}-\2", drawing).replace("#hatch", f"#{name}-hatch")
    drawing = drawing.replace('id="hatch"', f'id="{name}-hatch"')
    size = _OPENING.match(drawing)
    if size is None:
        raise ValueError("the drawing engine returned no sized SVG")
    width, height = size.groups()
    opening = Markup(
        '<svg class="drawing" viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
        ' role="img" aria-labelledby="{n}-t {n}-d">'
        '<title id="{n}-t">{t}</title><desc id="{n}-d">{d}</desc>'
    ).format(w=width, h=height, n=name, t=title, d=summary)
    return opening + Markup(drawing[size.end() :])  # noqa: S704 - drawn, not received


@lru_cache(maxsize=512)
def _draw(spec: bytes) -> str:
    """Return the SVG; a mark's description becomes the title a pointer shows."""
    drawing = vl_convert.vegalite_to_svg(spec.decode(), allowed_base_urls=[])
    drawing = _LABELLED.sub(r"<path\2><title>\1</title></path>", drawing)
    opening = _OPENING.match(drawing)
    if opening is None or "url(#hatch)" not in drawing:
        return drawing
    return opening.group() + _HATCH + drawing[opening.end() :]
