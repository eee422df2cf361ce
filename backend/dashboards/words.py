"""The sentences in which pages say what the tables keep as codes and numbers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from backend.dashboards.charts.palette import DoseState
from backend.dashboards.charts.strip import StripDay
from backend.dashboards.render import moment, number
from backend.dashboards.views import Need, Share

LABELS = {"taken_late": DoseState.LATE_TAKEN}
UNITS = {"1": "pieces", "{tablet}": "tablets", "[iU]": "IU", "{capsule}": "capsules"}
EVIDENCE = {
    "container_opened": "box opened",
    "dose_delivered": "dose delivered",
    "self_reported": "said so",
}
EVENT_LABELS = {
    "therapeutic": "counted for a scheduled dose",
    "prime": "prime, no dose",
    "refill": "refill, no dose",
    "curiosity": "a look inside, no dose",
    "pocket": "a dose that had been taken out earlier",
    "no_measurement": "amount unknown",
    "duplicate": "another record of a dose that counts",
    "extra": "extra",
    "unmatched": "no dose was due then",
}
MANY_MISSED = 5
MESSAGES = {
    "nudge": "Word before a dose",
    "late": "Reminder",
    "ask": "Question about a dose",
    "caregiver": "Word to a caregiver",
    "unanswered": "Entry in the worklist",
    "escalation": "Alert passed on",
    "operator": "Notice to the operator",
}
# What is no address that somebody would recognise.
NO_ADDRESS = {"push": "a browser", "webhook": "the operator's webhook"}
NOBODY = "nobody"
OUTCOMES = {
    "resolved": "Resolved",
    "adverse_reaction": "Adverse reaction",
    "other_cause": "Another cause",
    "artefact": "Artefact of the device",
    "retracted": "Taken back by itself: new data disproved it",
}
SEEN = {
    "patient_seen": "opened this page",
    "patient_list_seen": "saw the list of patients",
    "adherence_seen": "read how doses were taken",
    "adherence_list_seen": "read how doses were taken, of all their patients",
    "alert_seen": "opened an alert",
    "alert_list_seen": "saw the list of alerts",
    "messages_seen": "saw the messages",
    "reminders_seen": "saw the reminders",
    "reminders_exported": "exported the reminders",
    "ladder_changed": "changed a ladder of reminders",
    "reminders_preferred": "changed how they are reminded",
    "reminders_paused": "paused the reminders",
    "reminders_resumed": "ended a pause of the reminders",
    "reminder_answered": "answered a reminder",
    "messages_stopped": "stopped messages",
    "messages_started": "asked for messages again",
    "today_seen": "opened their own day",
    "alert_acknowledged": "acknowledged an alert",
    "alert_snoozed": "snoozed an alert",
    "alert_closed": "closed an alert",
    "dose_event_voided": "declared a dose record void",
    "dose_event_overruled": "said what a dose record was",
    "dose_event_overrule_undone": "took back what was said of a dose record",
    "dose_events_seen": "read dose records",
    "answer_repeated": "sent a call again, which changed nothing",
    "overrides_seen": "read what was said of dose records",
    "patient_adherence_seen": "read how doses were taken",
    "adherence_document_made": "made a document of how doses were taken",
    "emerge_report_seen": "read the report of all their patients",
    "dose_self_reported": "reported a dose",
    "reorder_moved": "moved an order",
    "in_use_seen": "read what is in use",
}


def dose_state(label: str) -> DoseState:
    """Return the mark of a scheduled dose's label."""
    return LABELS.get(label) or DoseState(label)


def strip_days(strip: Sequence[Mapping[str, object]]) -> tuple[StripDay, ...]:
    """Return the days of a state row's strip."""
    return tuple(_strip_day(day) for day in strip)


def _strip_day(day: Mapping[str, object]) -> StripDay:
    labels = day["labels"]
    assert isinstance(labels, list)
    states = tuple(dose_state(str(label)) for label in labels)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    return StripDay(datetime.fromisoformat(str(day["day"])).date(), states)


def needs(
    reasons: Sequence[Mapping[str, object]],
    alert: str | None = None,
    href: str | None = None,
) -> tuple[Need, ...]:
    """Return a state row's reasons in words, heaviest first.

    `alert` is the title of the worst open alert, which says more than that there is
    one, and `href` where it stands.
    """
    said: list[Need] = []
    for reason in reasons:
        code, count = str(reason["code"]), int(str(reason["count"]))
        if code.startswith("alert_"):
            severity = code.removeprefix("alert_")
            said.append(Need(_alerts(count, alert), severity, href))
            alert = href = None
        else:
            said.append(_need(code, count))
    return tuple(said)


def _alerts(count: int, title: str | None) -> str:
    if title is None:
        return "Alert open" if count == 1 else f"{count} alerts open"
    return title if count == 1 else f"{title}, and {count - 1} more"


def _need(code: str, count: int) -> Need:
    match code:
        case "late_now":
            return Need(f"{_doses(count)} late now", "medium")
        case "missed":
            severity = "medium" if count >= MANY_MISSED else "low"
            return Need(f"{_doses(count)} missed in 14 days", severity)
        case "unknown":
            return Need(f"{_doses(count)} unknown in 3 days")
        case "device_silent":
            return Need("Device not heard for two days: doses are unknown", "medium")
        case "runs_out":
            severity = "medium" if count <= 3 else "low"
            return Need(_stock_left(count), severity)
        case _:
            return Need(code.replace("_", " ").capitalize())


def _doses(count: int) -> str:
    return "1 dose" if count == 1 else f"{count} doses"


def _stock_left(days: int) -> str:
    if days == 0:
        return "Stock ends today"
    return f"Stock lasts {days} more {'day' if days == 1 else 'days'}"


def unit(code: str | None) -> str:
    """Return a UCUM unit as people write it."""
    return UNITS.get(code or "1", (code or "").strip("{}[]"))


def quantity(amount: Decimal | None, code: str | None) -> str:
    """Return an amount with its unit, empty when none was prescribed."""
    if amount is None:
        return ""
    name = unit(code)
    if amount == 1 and name.endswith("s"):
        name = name.removesuffix("s")
    return f"{number(amount)} {name}"


def masked(channel: str, address: str) -> str:
    """Return an address that its owner recognises and nobody else can use."""
    if channel in NO_ADDRESS:
        return NO_ADDRESS[channel]
    if "@" in address:
        name, _, host = address.partition("@")
        return f"{name[:1]}•••@{host}"
    if channel in ("sms", "voice") or address.startswith("+"):
        return f"{address[:3]} ••• ••• {address[-2:]}"
    return f"{address[:2]}•••"


def because(why: Mapping[str, object], zone: str, *, state: str) -> str:
    """Return what decided a message in this state, from the document its row keeps.

    A message whose dose came while a provider had it is marked, and goes all the same.
    """
    said: list[str] = []
    due = instant_of(why.get("dose_due_at"))
    if due is not None:
        said.append(f"dose due {moment(due, zone)}")
    if state == "cancelled" and "cancelled" in why:
        said.append(f"withdrawn: {plain(why['cancelled'])}")
    elif "expired" in why:
        said.append(f"not sent: {plain(why['expired'])}")
    elif "label" in why:
        heard = instant_of(why.get("heard_until"))
        said.append(
            "the device was never heard"
            if heard is None
            else f"device heard until {moment(heard, zone)}"
        )
    elif "delay_s" in why:
        minutes = int(str(why["delay_s"])) // 60
        said.append(f"sent {minutes} min later unless the dose is recorded")
    sentence = ", ".join([*said, *_other_ways(why)])
    return sentence[:1].upper() + sentence[1:]


def _other_ways(why: Mapping[str, object]) -> list[str]:
    """Return how a message stands to one that failed before it, or follows it."""
    said: list[str] = []
    if "after" in why:
        code = why.get("after_code")
        failed = f"failed ({code})" if code else "was not delivered"
        said.append(f"another way, for the first one {failed}")
    if why.get("failed_over", NOBODY) != NOBODY:
        said.append(f"tried again by {plain(why['failed_over'])}")
    return said


def plain(value: object) -> str:
    """Return a code as words."""
    return str(value).replace("_", " ")


def instant_of(value: object) -> datetime | None:
    """Return an instant of a document, None where the value is no aware instant."""
    if not isinstance(value, str) or len(value) < 16:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


PHASES = {
    "stopped": "seems to have stopped",
    "not_started": "has not started",
    "unknown": "whether doses are taken is not known",
}


def taking(figures: Mapping[str, object]) -> str:
    """Return the state row's figures of adherence in a sentence; "" where none is."""
    expected, taken = _counts(figures)
    if expected is None:
        return ""
    told = [
        f"{taken} of {expected} doses taken in the last {figures['days']} days"
        if expected
        else _nothing_known(figures)
    ]
    if figures["unknown_days"]:
        told.append(_counted(figures["unknown_days"], "unknown day"))
    if figures["longest_gap_d"]:
        told.append(f"longest gap {_counted(figures['longest_gap_d'], 'day')}")
    return "; ".join([", ".join(told), *_phase(figures)]) + "."


def taken_share(figures: Mapping[str, object]) -> Share:
    """Return how a list says the state row's figures of adherence, with all they need.

    No figure is said to be none: neither 0 % nor an empty cell. 100 % are all doses and
    0 % is none, whatever rounding makes of the others.
    """
    expected, taken = _counts(figures)
    if expected is None or taken is None:
        return Share("No figure yet")
    unknown = figures["unknown_days"]
    rests = [f"{taken} of {expected} doses in {figures['days']} days"]
    value = f"{_percent(taken, expected)} % taken" if expected else ""
    if not expected:
        value, rests = _nothing_known(figures), []
    if unknown:
        rests.append(_counted(unknown, "unknown day"))
    return Share(value, ", ".join(rests), *_phase(figures))


def _counts(figures: Mapping[str, object]) -> tuple[int | None, int | None]:
    """Return doses due and doses taken on known days, None where there is no figure."""
    expected, taken = figures.get("expected"), figures.get("taken")
    if not isinstance(expected, int) or not isinstance(taken, int):
        return None, None
    return expected, taken


def _nothing_known(figures: Mapping[str, object]) -> str:
    if figures["phase"] == "none_due":
        return f"No dose was due in the last {figures['days']} days"
    return f"No dose is known yet of the last {figures['days']} days"


def _percent(taken: int, expected: int) -> int:
    if taken in (0, expected):
        return 100 * taken // expected
    return min(max(round(100 * taken / expected), 1), 99)


def _phase(figures: Mapping[str, object]) -> list[str]:
    phase = PHASES.get(str(figures["phase"]))
    return [phase] if phase else []


def _counted(count: object, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
