"""The colours and shapes that pages, charts and documents share.

Charts carry the light colours; `static/charts.css` maps each of them to a token that
also has a dark and a forced-colours value. No state is told by its colour alone.
"""

from enum import StrEnum

INK = "#1b2733"
SOFT = "#51606f"
LINE = "#d5dce3"
WINDOW = "#e3eef0"
HEART = "#4338ca"
HEART_BAND = "#c9cdf6"
STOCK = "#0b5c8a"
STOCK_BAND = "#cfe3ee"
LIMIT = "#a33b00"
SILENCE = "#8794a1"
PAPER = "#ffffff"


class DoseState(StrEnum):
    """A scheduled dose's label, an extra dose, or that no dose was expected."""

    ON_TIME = "on_time"
    TAKEN = "taken"
    EARLY = "early"
    LATE_TAKEN = "late_taken"
    LATE = "late"
    MISSED = "missed"
    UNKNOWN = "unknown"
    PENDING = "pending"
    PAUSED = "paused"
    EXTRA = "extra"
    NONE = "none"


COLOURS: dict[DoseState, str] = {
    DoseState.ON_TIME: "#0f766e",
    DoseState.TAKEN: "#0f766e",
    DoseState.EARLY: "#1d4ed8",
    DoseState.LATE_TAKEN: "#b45309",
    DoseState.LATE: "#b45309",
    DoseState.MISSED: "#b91c1c",
    DoseState.UNKNOWN: "#5b6b7c",
    DoseState.PENDING: "#5b6b7c",
    DoseState.PAUSED: "#5b6b7c",
    DoseState.EXTRA: "#7e22ce",
    DoseState.NONE: "#5b6b7c",
}

WORDS: dict[DoseState, str] = {
    DoseState.ON_TIME: "on time",
    DoseState.TAKEN: "taken",
    DoseState.EARLY: "taken early",
    DoseState.LATE_TAKEN: "taken late",
    DoseState.LATE: "late, not taken yet",
    DoseState.MISSED: "missed",
    DoseState.UNKNOWN: "unknown",
    DoseState.PENDING: "still open",
    DoseState.PAUSED: "paused",
    DoseState.EXTRA: "extra",
    DoseState.NONE: "no dose due",
}

_FRAME = "M-1-1H1V1H-1ZM-.8-.8V.8H.8V-.8Z"
_STRIPES = "M-.8-.1V.26L.26-.8H-.1ZM-.8.62V.8H-.62L.8-.62V-.8H.62ZM.8.1V-.26L-.26.8H.1Z"

# One filled path a state within -1..1, which is what Vega's `shape` takes. Holes run
# against the clock. An unknown dose is hatched, a missed one crossed out.
_SOLID = "M-1-1H1V1H-1Z"
SHAPES: dict[DoseState, str] = {
    DoseState.ON_TIME: _SOLID,
    DoseState.TAKEN: _SOLID,
    DoseState.EARLY: _FRAME + "M-.8-.8H.8V-.05H-.8Z",
    DoseState.LATE_TAKEN: _FRAME + "M-.8.05H.8V.8H-.8Z",
    DoseState.LATE: (
        "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z"
        "M-.76 0A.76.76 0 1 0 .76 0A.76.76 0 1 0-.76 0Z"
        "M-.14-.55H.14V-.02L.46.3L.26.5L-.14.1Z"
    ),
    DoseState.MISSED: (
        "M-.72-1L0-.28L.72-1L1-.72L.28 0L1 .72L.72 1L0 .28L-.72 1L-1 .72L-.28 0L-1-.72Z"
    ),
    DoseState.UNKNOWN: _FRAME + _STRIPES,
    DoseState.PENDING: (
        "M-.6 0A.6.6 0 1 1 .6 0A.6.6 0 1 1-.6 0Z"
        "M-.36 0A.36.36 0 1 0 .36 0A.36.36 0 1 0-.36 0Z"
    ),
    DoseState.PAUSED: "M-.6-.7H-.2V.7H-.6ZM.2-.7H.6V.7H.2Z",
    DoseState.EXTRA: "M-.2-.9H.2V-.2H.9V.2H.2V.9H-.2V.2H-.9V-.2H-.2Z",
    DoseState.NONE: "M-.35-.1H.35V.1H-.35Z",
}
