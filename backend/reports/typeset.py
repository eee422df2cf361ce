"""Documents: a template and values to a tagged PDF, with the charts of the pages.

Typst sets them in this process, without network; PDF/UA-1, so that a screen reader has
headings, tables, and the sentence that stands for each chart.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import orjson
import typst

from backend.dashboards.charts.chart import WIDE, Chart, document_svg

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 640  # pixels of a chart as wide as the text: its letters are then 9 points


def typeset(
    template: str,
    values: Mapping[str, object],
    charts: Sequence[Chart],
    *,
    at: datetime,
) -> bytes:
    """Return the document as PDF, dated `at`.

    The template reads `values` from data.json, and in its `charts` file, title and
    sentence of each chart. Same input, same octets.
    """
    drawn = [
        {"file": f"chart-{n}.svg", "title": chart.title, "told": chart.summary}
        for n, chart in enumerate(charts)
    ]
    files = {
        "main.typ": (TEMPLATES / template).read_bytes(),
        "house.typ": (TEMPLATES / "house.typ").read_bytes(),
        "data.json": orjson.dumps({**values, "charts": drawn}),
        **{
            str(one["file"]): _drawn(chart)
            for one, chart in zip(drawn, charts, strict=True)
        },
    }
    return typst.compile(
        files,  # pyright: ignore[reportArgumentType] - its stub knows no mapping
        format="pdf",
        ignore_system_fonts=True,
        pdf_standards="ua-1",
        timestamp=int(at.timestamp()),
    )


def _drawn(chart: Chart) -> bytes:
    """Return the drawing; one that is not wide on a screen stands beside another."""
    if chart.wide["width"] == WIDE:
        return document_svg(chart, width=WIDTH)
    return document_svg(chart)
