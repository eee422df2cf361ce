"""The last days of doses as a row of marks: one column a day, one mark a dose.

Written as SVG by hand: fifty of them stand in one list, and a drawing engine would take
three seconds for what is fourteen references to eleven symbols.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from markupsafe import Markup

from backend.dashboards.charts.palette import COLOURS, SHAPES, WORDS, DoseState

PITCH = 18
MARK = 12
MOST_A_DAY = 6


@dataclass(frozen=True)
class StripDay:
    """One dose-day: its doses in the order in which they were due."""

    day: date
    states: tuple[DoseState, ...]


def symbols() -> Markup:
    """Return the marks' definitions; a page or document carries them once."""
    shapes = Markup("").join(
        Markup(
            '<symbol id="dose-{s}" viewBox="-1 -1 2 2">'
            '<path class="dose-{s}" fill="{c}" d="{d}"/></symbol>'
        ).format(s=state, c=COLOURS[state], d=SHAPES[state])
        for state in DoseState
    )
    return (
        Markup('<svg class="symbols" width="0" height="0" aria-hidden="true">')
        + shapes
        + Markup("</svg>")
    )


def mark(state: DoseState) -> Markup:
    """Return one mark on its own, silent: the word stands beside it."""
    return Markup(
        '<svg class="mark" viewBox="0 0 14 14" width="14" height="14"'
        ' aria-hidden="true"><use href="#dose-{s}" x="1" y="1" width="12" height="12"/>'
        "</svg>"
    ).format(s=state)


def words(days: Sequence[StripDay]) -> str:
    """Return the sentence that a screen reader speaks for the strip."""
    count = Counter(state for day in days for state in day.states)
    told = [
        f"{count[state]} {WORDS[state]}"
        for state in DoseState
        if count[state] and state is not DoseState.NONE
    ]
    return f"Last {len(days)} days: " + (", ".join(told) or "no doses expected") + "."


def dose_strip(days: Sequence[StripDay]) -> Markup:
    """Return the strip, oldest day left; days without a dose show a dash.

    Needs `symbols()` in the same document. A day shows at most six doses.
    """
    shown = [day.states[:MOST_A_DAY] or (DoseState.NONE,) for day in days]
    deep = max((len(states) for states in shown), default=1)
    width, height = PITCH * max(len(days), 1), PITCH * deep
    columns = Markup("").join(
        _column(day, states, PITCH * index)
        for index, (day, states) in enumerate(zip(days, shown, strict=True))
    )
    opening = Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img"'
        ' aria-label="{words}">'
    ).format(w=width, h=height, words=words(days))
    return opening + columns + Markup("</svg>")


# A list of fifty has seven hundred columns, most of them alike.
@lru_cache(maxsize=8192)
def _column(day: StripDay, states: tuple[DoseState, ...], left: int) -> Markup:
    inset = (PITCH - MARK) // 2
    marks = Markup("").join(
        Markup(
            '<use href="#dose-{s}" x="{x}" y="{y}" width="{m}" height="{m}"/>'
        ).format(s=state, x=left + inset, y=PITCH * index + inset, m=MARK)
        for index, state in enumerate(states)
    )
    told = ", ".join(WORDS[state] for state in states)
    return (
        Markup("<g><title>{d}: {t}</title>").format(d=f"{day.day:%a %-d %b}", t=told)
        + marks
        + Markup("</g>")
    )
