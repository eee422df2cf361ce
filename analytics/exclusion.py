"""Events that cannot be a dose of their own: said to be none, primes, duplicates."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from analytics.labels import IS_A_DOSE, MAY_MATCH, SAME_DOSE, EventLabel, PrimeRule
from analytics.records import Dose, DoseId, EventId, Evidence, Scheduled


def excluded(
    ordered: Sequence[Dose[EventId]],
    doses: Sequence[Scheduled[DoseId]],
    debounce: timedelta,
    prime: PrimeRule | None,
) -> dict[EventId, EventLabel]:
    """Return the label of each event that cannot be a dose of its own."""
    said = ((e.id, EventLabel(e.label)) for e in ordered if e.label is not None)
    labels = {key: word for key, word in said if word not in MAY_MATCH}
    sure = {event.id for event in ordered if event.label in IS_A_DOSE}
    if prime is not None:
        primes = (key for key in primed(ordered, prime) if key not in sure)
        labels |= dict.fromkeys(primes, EventLabel.PRIME)
    able = [e for e in ordered if e.id not in labels and e.id not in sure]
    devices = _debounced([e for e in able if not is_word(e)], debounce)
    words = [
        word
        for word in able
        if is_word(word)
        and not any(_same_dose(word, e, doses, debounce) for e in _near(word, devices))
    ]
    kept = {event.id for event in (*devices, *_debounced(words, debounce))}
    spare = (event.id for event in able if event.id not in kept)
    return labels | dict.fromkeys(spare, EventLabel.DUPLICATE)


def is_word(event: Dose[EventId]) -> bool:
    return event.evidence == Evidence.SELF_REPORTED


def _debounced(
    ordered: Sequence[Dose[EventId]], debounce: timedelta
) -> list[Dose[EventId]]:
    """Return the events that are no echo of the last one that was kept."""
    kept: list[Dose[EventId]] = []
    for event in ordered:
        if not kept or event.at - kept[-1].at >= debounce:
            kept.append(event)
    return kept


def _near(
    word: Dose[EventId], devices: Sequence[Dose[EventId]]
) -> Sequence[Dose[EventId]]:
    """Return the records before and after it that are next to a person's word."""
    place = bisect_left(devices, word.at, key=lambda event: event.at)
    return devices[max(0, place - 1) : place + 1]


def _same_dose(
    word: Dose[EventId],
    record: Dose[EventId],
    doses: Sequence[Scheduled[DoseId]],
    debounce: timedelta,
) -> bool:
    """Return whether a word and a device's record beside it are of one dose."""
    apart = abs(word.at - record.at)
    first, last = sorted((word.at, record.at))
    return apart < debounce or (
        apart <= SAME_DOSE
        and any(
            dose.window_from <= first and last < dose.window_until for dose in doses
        )
    )


def primed(ordered: Sequence[Dose[EventId]], rule: PrimeRule) -> dict[EventId, Decimal]:
    """Return the small deliveries before a larger one: its share of both together."""
    measured = [(e, e.amount) for e in ordered if e.amount is not None]
    found: dict[EventId, Decimal] = {}
    for at, (event, amount) in enumerate(measured):
        larger = [
            more
            for later, more in measured[at + 1 : at + 4]
            if later.unit == event.unit
            and later.at - event.at <= rule.within
            and more > amount
        ]
        if amount <= rule.at_most and larger:
            found[event.id] = amount / (amount + max(larger))
    return found
