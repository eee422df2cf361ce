"""The words and units in which a clinician reads the numbers of a finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from backend.dashboards.render import moment, number, short_day
from backend.dashboards.views import Fact
from backend.dashboards.words import instant_of, plain

LIMITS = "parameters"
NESTED = ("numbers", LIMITS)
UNSAID = frozenset({"summary", "code", "subject"})


@dataclass(frozen=True, slots=True)
class Said:
    """What a number is called, and its unit in the plural; `/min` has none."""

    name: str
    unit: str = ""


WORDS: Mapping[str, Mapping[str, Said]] = {
    "doses-missed-in-a-row": {
        "since": Said("First missed dose"),
        "at": Said("Latest missed dose"),
        "missed": Said("Missed in a row", "doses"),
        "unknown_between": Said("Unknown in between", "doses"),
        "unknown_since": Said("Unknown since the latest missed one", "doses"),
        "last_taken": Said("Last dose taken before"),
        "at_least": Said("Raises an alert from", "missed doses"),
        "latest_days": Said("The latest of them not older than", "days"),
    },
    "resting-heart-rate-changed": {
        "since": Said("The day before ended"),
        "at": Said("The latest day ended"),
        "resting": Said("Resting heart rate of the latest day", "/min"),
        "resting_day_before": Said("Resting heart rate of the day before", "/min"),
        "baseline": Said("Own baseline (median)", "/min"),
        "difference": Said("Latest day less the baseline", "/min"),
        "score": Said("Deviation that both days share", "SD"),
        "own_sd": Said("One SD of this person, week to week", "/min"),
        "nights_in_baseline": Said("Baseline is made of", "days"),
        "threshold": Said("Raises an alert from a deviation of", "SD"),
        "baseline_days": Said("Baseline looks back", "days"),
        "least_baseline": Said("Baseline needs at least", "days"),
        "population_sd": Said("SD of people in general, week to week", "/min"),
        "population_weeks": Said("Which counts as much as", "weeks of one's own"),
        "measured_false_alerts_per_patient_month": Said(
            "False alerts in a trial on other people", "a patient-month"
        ),
    },
    "device-silent": {
        "since": Said("Nothing to go by since"),
        "at": Said("Last looked"),
        "silent_hours": Said("Not heard for", "hours"),
        "contacts_missed": Said("Expected contacts that failed"),
        "heard_until": Said("Last heard"),
        "undated": Said("Latest records, all without a time"),
        "at_least_hours": Said("Raises an alert after", "hours"),
        "expected_contacts": Said("And after failed contacts"),
    },
    "device-battery": {
        "since": Said("Levels told since"),
        "at": Said("Latest level told"),
        "empty_early": Said("Empty at the earliest"),
        "empty_expected": Said("Empty, as expected"),
        "percent": Said("Battery level", "%"),
        "readings": Said("Forecast from", "levels"),
        "at_risk_days": Said("Raises an alert when it may be empty within", "days"),
    },
    "dose-unanswered": {
        "dose_due_at": Said("Dose due"),
        "heard_until": Said("Device heard until"),
        "reminders_sent": Said("Reminders sent to the patient"),
        "reminders_not_sent": Said("Reminders that did not go"),
    },
    "dose-skipped": {
        "dose_due_at": Said("Dose due"),
        "reason": Said("Reason the patient gave"),
    },
    "patient-asks": {
        "at": Said("Written"),
        "said": Said("In their words"),
        "reason": Said("Why a person must read it"),
    },
    "opted-out": {"at": Said("Since"), "channel": Said("Channel")},
    "run-out": {"run_out_on": Said("Stock ends on")},
    "next-dose-waits": {
        "due_at": Said("The last dose was due"),
        "window_until": Said("It could be taken until"),
        "label": Said("What is known of it"),
    },
    "as-needed-limit": {
        "at": Said("The dose was taken"),
        "limits": Said("It came"),
        "doses_in_24_hours": Said("With it, in 24 hours", "doses"),
        "most_in_24_hours": Said("Prescribed at most, in 24 hours", "doses"),
        "least_hours": Said("Prescribed at least, apart", "hours"),
        "free_at": Said("The next is within limits from"),
        "dose_event_id": Said("Record"),
    },
}


def facts_of(finding: Mapping[str, object], zone: str) -> tuple[Fact, ...]:
    """Return what was seen, one line a number, times in `zone`."""
    told = {name: value for name, value in finding.items() if name not in NESTED}
    return _facts(finding, told | _part(finding, "numbers"), zone)


def limits_of(finding: Mapping[str, object], zone: str) -> tuple[Fact, ...]:
    """Return what the rule goes by, one line a number."""
    return _facts(finding, _part(finding, LIMITS), zone)


def _facts(
    finding: Mapping[str, object], told: Mapping[str, object], zone: str
) -> tuple[Fact, ...]:
    words = WORDS.get(str(finding.get("code")), {})
    return tuple(
        _fact(words.get(name) or Said(plain(name).capitalize()), value, zone)
        for name, value in told.items()
        if name not in UNSAID and value is not None
    )


def _part(finding: Mapping[str, object], name: str) -> dict[str, object]:
    part = finding.get(name)
    return dict(part) if isinstance(part, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _fact(said: Said, value: object, zone: str) -> Fact:
    if isinstance(value, float | int):
        amount = number(round(value, 1))
        one = amount == "1" and said.unit.endswith("s")
        unit = said.unit.removesuffix("s") if one else said.unit
        return Fact(said.name, f"{amount} {unit}".strip())
    return Fact(said.name, _text(value, zone))


def _text(value: object, zone: str) -> str:
    at = instant_of(value)
    if at is not None:
        return moment(at, zone)
    try:
        return short_day(date.fromisoformat(str(value)))
    except ValueError:
        return plain(value)
