"""Charts: what they say, in which shapes, and that drawings are safe in pages."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import altair
import pytest
from jsonschema import validate

from backend.dashboards import assets
from backend.dashboards.charts import palette
from backend.dashboards.charts.axis import DoseMark, HeartRateBin
from backend.dashboards.charts.chart import Chart, document_svg, inline_svg
from backend.dashboards.charts.palette import COLOURS, SHAPES, DoseState
from backend.dashboards.charts.stock import StockLevel, stock
from backend.dashboards.charts.strip import StripDay, dose_strip, symbols, words
from backend.dashboards.charts.timeline import timeline
from tests.backend.dashboards.examples import a_chart, a_stock_chart

ZURICH = ZoneInfo("Europe/Zurich")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def drawn(doses: list[DoseMark], bins: list[HeartRateBin]) -> Chart:
    return timeline(
        doses=doses,
        windows=[],
        heart_rate=bins,
        first=NOON - timedelta(days=3),
        last=NOON,
        zone=ZURICH,
    )


def a_bin(hours_before_noon: float, median: float = 70) -> HeartRateBin:
    start = NOON - HOUR * hours_before_noon
    return HeartRateBin(start, start + HOUR, median - 5, median, median + 9)


@pytest.mark.parametrize(
    "chart", [a_chart(), a_stock_chart()], ids=["timeline", "stock"]
)
def test_a_chart_is_valid_vega_lite(chart: Chart) -> None:
    folder = Path(altair.__file__).parent / "vegalite/v6/schema"
    schema = json.loads((folder / "vega-lite-schema.json").read_text())

    for spec in (chart.wide, chart.narrow):
        validate(json.loads(json.dumps(spec)), schema)


@pytest.mark.parametrize(
    "chart", [a_chart(), a_stock_chart()], ids=["timeline", "stock"]
)
def test_a_drawing_needs_no_exception_from_the_policy(chart: Chart) -> None:
    drawing = inline_svg(chart) + inline_svg(chart, narrow=True) + symbols()

    forbidden = r"<style|<script|<image|\sstyle=|\son\w+=|https?://"
    assert re.findall(forbidden, drawing) == []


def test_drawings_share_a_page_without_sharing_an_id() -> None:
    chart = a_chart()
    page = (
        inline_svg(chart) + inline_svg(chart, narrow=True) + inline_svg(a_stock_chart())
    )

    ids = re.findall(r'\bid="([^"]*)"', page)

    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)


def test_what_people_typed_stays_text_in_a_drawing() -> None:
    chart = replace(a_stock_chart(), title="<script>alert(1)</script>", summary='"&<b>')

    drawing = inline_svg(chart)

    assert "<script" not in drawing
    assert "&#34;&amp;&lt;b&gt;" in drawing


def test_a_unit_with_markup_stays_text_in_a_drawing() -> None:
    chart = stock([StockLevel(date(2026, 3, 2), 4)], unit="<b>mg & mL</b>")

    assert "<b>" not in inline_svg(chart)


def test_a_dose_tells_its_time_and_state_to_a_pointer() -> None:
    late = DoseMark(datetime(2026, 3, 2, 9, 40, tzinfo=UTC), DoseState.LATE_TAKEN)

    assert "<title>Mon 2 Mar 10:40, taken late</title>" in inline_svg(drawn([late], []))


def test_a_dose_after_midnight_belongs_to_the_evening_before() -> None:
    after_midnight = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)  # 01:30 in Zurich
    chart = drawn([DoseMark(after_midnight, DoseState.LATE_TAKEN)], [])

    assert chart.rows == (("Sun 1 Mar 2026", "01:30 taken late", "not measured"),)


def test_where_nothing_was_measured_the_line_is_broken() -> None:
    whole = drawn([], [a_bin(5), a_bin(4), a_bin(3)])
    broken = drawn([], [a_bin(5), a_bin(4), a_bin(2)])

    def lines(chart: Chart) -> int:
        return inline_svg(chart).count(f'stroke="{palette.HEART}"')

    assert (lines(whole), lines(broken)) == (1, 2)


def test_the_summary_tells_what_the_picture_shows() -> None:
    doses = [DoseMark(NOON, DoseState.MISSED), DoseMark(NOON, DoseState.UNKNOWN)]

    assert drawn(doses, [a_bin(1)]).summary == (
        "From 28 February 2026 to 3 March 2026: 1 missed, 1 unknown. "
        "Heart rate mostly between 65 and 79 a minute."
    )


def test_no_heart_rate_is_said_and_draws_one_panel() -> None:
    chart = drawn([DoseMark(NOON, DoseState.ON_TIME)], [])

    assert chart.summary.endswith("No heart rate was recorded.")
    assert "Heart rate /min" not in inline_svg(chart)


def test_the_table_holds_the_numbers_of_the_day() -> None:
    dose = DoseMark(NOON - HOUR, DoseState.ON_TIME)

    assert drawn([dose], [a_bin(3, 60), a_bin(2, 70), a_bin(1, 90)]).rows == (
        ("Tue 3 Mar 2026", "12:00 on time", "70 (55 to 99)"),
    )


def test_stock_tells_when_it_will_run_out() -> None:
    day = date(2026, 3, 2)
    after = [StockLevel(day + timedelta(days=n), 4 - 2 * n) for n in range(3)]

    chart = stock([after[0]], forecast=after, reorder_point=3, unit="tablets")

    assert chart.summary == (
        "4 tablets on hand on 2 March, reordered below 3, "
        "expected to run out on 4 March."
    )


def test_a_document_gets_the_same_chart() -> None:
    assert document_svg(a_stock_chart(), width=640).startswith(b"<svg")


def test_states_differ_in_shape_not_only_in_colour() -> None:
    alike = {DoseState.TAKEN}  # taken, of a dose without a time of day, is on time

    shapes = [SHAPES[state] for state in DoseState if state not in alike]

    assert len(shapes) == len(set(shapes))


def test_every_colour_of_a_drawing_has_a_token_for_light_dark_and_forced() -> None:
    css = (assets.FOLDER / "charts.css").read_text()
    inks = {value for name, value in colours_of(palette).items() if name != "PAPER"}

    for colour in inks | set(COLOURS.values()):
        rules = re.findall(rf'="{colour}"\] \{{ \w+: var\((--[\w-]+)\)', css)
        assert len(rules) == 1, colour
        assert css.count(f"{rules[0]}:") == 3, rules[0]
        assert f"{rules[0]}: {colour};" in css


def colours_of(module: object) -> dict[str, str]:
    return {
        name: value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and value.startswith("#")
    }


def test_a_strip_says_in_words_what_it_shows() -> None:
    days = [
        StripDay(date(2026, 3, 1), (DoseState.ON_TIME, DoseState.MISSED)),
        StripDay(date(2026, 3, 2), (DoseState.UNKNOWN, DoseState.ON_TIME)),
        StripDay(date(2026, 3, 3), ()),
    ]

    assert words(days) == "Last 3 days: 2 on time, 1 missed, 1 unknown."
    strip = dose_strip(days)
    assert 'aria-label="Last 3 days: 2 on time, 1 missed, 1 unknown."' in strip
    assert "<title>Sun 1 Mar: on time, missed</title>" in strip
    assert "<title>Tue 3 Mar: no dose due</title>" in strip


def test_a_strip_of_no_days_is_still_a_picture_with_words() -> None:
    assert "Last 0 days: no doses expected." in dose_strip([])


def test_a_strip_refers_only_to_marks_that_exist() -> None:
    strip = dose_strip([StripDay(date(2026, 3, 1), tuple(DoseState)[:6])])

    used = set(re.findall(r'href="#([^"]+)"', strip))

    assert used <= set(re.findall(r'<symbol id="([^"]+)"', symbols()))
    assert len(used) == 6


@pytest.mark.parametrize("days", [1, 2, 7, 14, 30, 90])
def test_an_axis_names_no_time_twice(days: int) -> None:
    for narrow in (False, True):
        drawing = inline_svg(a_chart(days), narrow=narrow)
        labels = re.findall(r'text-anchor="middle"[^>]*>([^<]+)<', drawing)
        below = [
            label for label in labels if "Time" not in label and "rate" not in label
        ]

        assert len(below) >= 2
        if days > 2:
            assert len(below) == len(set(below))
