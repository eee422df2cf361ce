"""What a device told of itself, in words for those who look after it.

Its bridge wrote the details: whatever is in them is taken or left, never trusted.
"""

from collections.abc import Mapping
from math import isfinite

SECONDS_A_DAY = 86_400.0
UNITS = ((2 * 86_400, 86_400, "days"), (5_400, 3_600, "h"), (90, 60, "min"))
SAID = {
    "battery_low": "Battery low",
    "clock_drift": "Clock drifts",
    "clock_jump": "Clock was moved, nobody knows when",
    "clock_set": "Clock was set",
    "clock_wrong": "Clock was wrong",
    "fault": "Reports a fault",
    "gap": "Records were lost",
    "reset": "Was reset",
}
WHY = {
    "not set": "Clock is not set",
    "stopped": "Clock stood still",
    "unsteady": "Clock runs unevenly",
    "future": "Records are stamped in the future",
}


def words_of(kind: str, detail: Mapping[str, object]) -> str:
    """Return what an event says, as exactly as its details do."""
    match kind:
        case "clock_drift":
            return _drift(detail) or SAID[kind]
        case "clock_jump":
            return _jump(detail) or SAID[kind]
        case "clock_wrong":
            return WHY.get(str(detail.get("why"))) or _off(detail) or SAID[kind]
        case _:
            return SAID[kind]


def _number(detail: Mapping[str, object], name: str) -> float | None:
    value = detail.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if isfinite(value) else None


def _drift(detail: Mapping[str, object]) -> str | None:
    ppm = _number(detail, "rate_ppm")
    if ppm is None:
        return None
    verb = "gains" if ppm > 0 else "loses"
    return f"Clock {verb} {abs(ppm) * SECONDS_A_DAY / 1e6:.0f} s a day"


def _jump(detail: Mapping[str, object]) -> str | None:
    moved = _number(detail, "moved_s")
    if moved is None:
        return None
    way = "ahead" if moved > 0 else "back"
    return f"Clock was moved {way} by {_span(abs(moved))}, nobody knows when"


def _off(detail: Mapping[str, object]) -> str | None:
    off = _number(detail, "offset_s")
    if off is None:
        return None
    return f"Clock was {_span(abs(off))} {'ahead' if off > 0 else 'behind'}"


def _span(seconds: float) -> str:
    for least, unit, name in UNITS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
