"""A report of adherence by the EMERGE guideline, filled in as far as data can.

De Geest et al. 2018, doi:10.7326/M18-0543: four minimum criteria (phases, operational
definitions, measurement, results) and 17 items of good practice along the sections of a
paper. The criteria are filled in. Of the items, what data can tell is told and the rest
is left to the author; they are in our words, the published checklist holds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite

from analytics.adherence.people import Findings, Spread
from analytics.adherence.persistence import Curve

TOLD_DAYS = (30, 90, 180, 365)
BY_AUTHOR = "To be filled in by the author."


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the findings come from: what no figure tells.

    `records` counts records by their kind of evidence, in words; `changed` are records
    that a person labelled or declared void, `reminders` the messages sent about doses.
    """

    title: str
    medicines: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    records: Mapping[str, int] = field(default_factory=dict[str, int])
    changed: int = 0
    reminders: int = 0
    day_start: str = "03:00"
    debounce_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Item:
    """A criterion or item: what it asks, what the data say, what the author must."""

    number: str
    section: str
    asks: str
    says: tuple[str, ...] = ()
    author: bool = False


@dataclass(frozen=True, slots=True)
class Emerge:
    """The report: four criteria, 17 items, and the findings they quote."""

    title: str
    criteria: tuple[Item, ...]
    items: tuple[Item, ...]
    findings: Findings
    source: str = "De Geest et al. 2018, doi:10.7326/M18-0543"


def emerge(findings: Findings, setting: Setting) -> Emerge:
    """Return the report of a cohort."""
    return Emerge(
        setting.title,
        tuple(_criteria(findings, setting)),
        tuple(_items(findings, setting)),
        findings,
    )


def _criteria(found: Findings, setting: Setting) -> Iterator[Item]:
    yield Item(
        "M1",
        "Minimum criteria",
        "Which phases of adherence are reported?",
        (
            "Initiation, implementation and persistence, named after the ABC taxonomy "
            "(doi:10.1111/j.1365-2125.2012.04167.x).",
        ),
    )
    yield Item(
        "M2",
        "Minimum criteria",
        "How is each phase defined in operation?",
        tuple(_definitions(found, setting)),
    )
    yield Item(
        "M3",
        "Minimum criteria",
        "How was adherence measured?",
        tuple(_measurement(setting)),
    )
    yield Item(
        "M4",
        "Minimum criteria",
        "What are the results of each phase?",
        tuple(results(found)),
    )


def _definitions(found: Findings, setting: Setting) -> Iterator[str]:
    yield (
        "Initiation: the first dose taken, counted in days from the first dose-day on "
        "which a dose was due."
    )
    yield (
        "Implementation: from the first dose to the last, on days that are known. A "
        f"dose-day runs from {setting.day_start} to {setting.day_start}, local time. "
        "Taking adherence is doses taken of doses due, a day at most what it asks; a "
        "correct dosing day has exactly the doses due, a dose-taken day at least "
        "those; a drug holiday is three days or more without a dose."
    )
    yield (
        f"Discontinuation: the day after the last dose, where none followed in "
        f"{found.gap} known days. Persistence is the time until then."
    )
    yield "A day that was not monitored is unknown: never missed, in no denominator."


def _measurement(setting: Setting) -> Iterator[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in setting.records.items())
    yield f"Electronic monitoring; records: {kinds or 'none'}."
    if setting.devices:
        yield f"Devices: {', '.join(setting.devices)}."
    yield (
        f"A record within {setting.debounce_s:g} seconds of the one before is its "
        "echo. The rest are matched to scheduled doses in order: most matches, then "
        "least time from due. An opening is not an ingestion."
    )


def results(found: Findings) -> Iterator[str]:
    """Yield what was found, a sentence a figure, each with its interval and counts."""
    yield (
        f"Initiation: {found.initiated} of {found.people} people took a first dose"
        f"{_first_dose(found.days_to_first_dose)}."
    )
    for spread in found.implementation:
        if spread.people:
            yield f"Implementation, {told(spread)}."
    yield (
        f"Persistence: {found.discontinued} of {found.initiated} who began were seen "
        f"to stop{_by_day(found.curves and found.curves.persistence)}."
    )
    counts = found.counts
    yield (
        f"These rest on {counts.doses} doses in {counts.monitored_days} known days; "
        f"{counts.unknown_days} days are unknown."
    )


def told(spread: Spread) -> str:
    """Return a measure of people in words."""
    number = _share if spread.unit == "1" and _is_share(spread) else _plain
    text = f"{spread.name}: mean {number(spread.mean)}"
    if spread.interval is not None:
        low, high = spread.interval.low, spread.interval.high
        level = f"{spread.interval.level:.0%}".replace("%", " %")
        text += f" ({level} interval {number(low)} to {number(high)})"
    quartiles = f"{number(spread.lower_quartile)} to {number(spread.upper_quartile)}"
    text += f", median {number(spread.median)} (quartiles {quartiles})"
    return f"{text}, {spread.people} people"


def _is_share(spread: Spread) -> bool:
    return spread.name != "drug holidays"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f}\u00a0%"


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _first_dose(waits: Spread) -> str:
    if waits.median is None:
        return ""
    return (
        f", after a median of {waits.median:g} days (quartiles "
        f"{waits.lower_quartile:g} to {waits.upper_quartile:g})"
    )


def _by_day(curve: Curve | None) -> str:
    if curve is None:
        return ""
    days = [
        day
        for day in TOLD_DAYS
        if day < len(curve.value) and isfinite(float(curve.value[day]))
    ]
    shares = [
        f"{_share(float(curve.value[day]))} on day {day} "
        f"({_share(float(curve.low[day]))} to {_share(float(curve.high[day]))})"
        for day in days
    ]
    return f"; persistent were {', '.join(shares)}" if shares else ""


def _items(found: Findings, setting: Setting) -> Iterator[Item]:
    said = _said(found, setting)
    for number, (section, asks) in enumerate(ITEMS, start=1):
        says = said.get(number, ())
        yield Item(str(number), section, asks, says, author=number not in COMPLETE)


ITEMS: tuple[tuple[str, str], ...] = (
    ("Title and abstract", "Name the phase of adherence that was studied."),
    ("Introduction", "What is known of adherence to this medicine, and why study it?"),
    ("Introduction", "Aims and hypotheses, by phase of adherence."),
    ("Methods", "Design and setting: how adherence is looked after in usual care."),
    ("Methods", "Participants: were they chosen by their adherence?"),
    ("Methods", "Intervention, if any, on adherence: content, dose, who gave it."),
    ("Methods", "Instrument: which, and how valid and reliable it is."),
    ("Methods", "Reactivity: how measuring may itself have changed adherence."),
    ("Methods", "How often and for how long adherence was measured."),
    ("Methods", "How raw records became the figures."),
    ("Methods", "How missing and censored data were handled."),
    ("Methods", "Statistical methods, by phase."),
    ("Results", "Flow of participants through the phases."),
    ("Results", "Characteristics of participants that bear on adherence."),
    ("Results", "Each figure with its precision; how adherence relates to outcomes."),
    ("Discussion", "Strengths and limits of how adherence was measured."),
    ("Discussion", "What follows for practice and research, by phase."),
)
COMPLETE = frozenset({9, 10, 11, 12, 13})  # what the data say in full


def _said(found: Findings, setting: Setting) -> dict[int, tuple[str, ...]]:
    """Return what the data say of the items, by their number."""
    medicines = ", ".join(setting.medicines) or "not named"
    counts = found.counts
    span = "No day is known."
    if found.first_day and found.last_day:
        span = f"Continuously, {found.first_day} to {found.last_day}."
    return {
        1: ("Initiation, implementation and persistence are reported.",),
        2: (f"Medicine: {medicines}.",),
        4: (f"{setting.reminders} messages about doses were sent in these days.",),
        5: (
            f"All {found.people} people with a dose due whom the reader may see; this "
            "report leaves out nobody because of adherence.",
        ),
        7: tuple(_measurement(setting)),
        9: (span,),
        10: (
            "By labels and matching, as under M3; no raw record was changed.",
            f"{setting.changed} records were labelled or declared void by a person.",
        ),
        11: (
            f"{counts.unknown_days} unknown days are in no denominator.",
            f"Who was not seen to stop is censored {found.gap} known days before the "
            "end of their follow-up.",
        ),
        12: (
            "Initiation and persistence: Kaplan-Meier, Greenwood on the log(-log) "
            "scale. Implementation by day: Wilson. Adherence by day, and means over "
            "people: bootstrap of people, 999 draws.",
        ),
        13: (
            f"{found.people} people with a dose due, {found.initiated} initiated, "
            f"{found.discontinued} seen to discontinue.",
        ),
        15: ("Every figure under M4 has its interval.",),
        16: (
            "Times are recorded, not recalled; an opening or a delivery is not an "
            "ingestion, and silence of a device is unknown, not missed.",
        ),
    }
