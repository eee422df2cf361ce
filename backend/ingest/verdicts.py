"""What a sender is told of each record, and what is noted of those that are odd."""

from collections.abc import Collection, Iterable, Mapping

from backend.devices.arrive import Arrival, Mark
from backend.devices.contact import Happening
from backend.ingest.items import Broken, Item, Read, Verdict


def verdicts(
    arrivals: Mapping[int, Arrival], new: Collection[Mark], clashing: Collection[Mark]
) -> dict[int, Verdict]:
    """Return the verdict on each record; of equal ones in a batch one is new."""
    told: set[Mark] = set()
    said: dict[int, Verdict] = {}
    for i in sorted(arrivals, key=lambda i: (arrivals[i].status == "quarantined", i)):
        arrival = arrivals[i]
        if arrival.mark in clashing:
            said[i] = Verdict(verdict="quarantined", reason="conflict")
        elif arrival.mark in new and arrival.mark not in told:
            kept = "quarantined" if arrival.status == "quarantined" else "new"
            said[i] = Verdict(
                verdict=kept, reason=arrival.reason, detail=arrival.detail
            )
        else:
            said[i] = Verdict(verdict="known")
        told.add(arrival.mark)
    return said


def refused(read: Read[Item]) -> Verdict:
    """Return why an item was not even kept."""
    if isinstance(read.item, Broken) and read.item.identity is None:
        return Verdict(verdict="rejected", reason="malformed", detail=read.item.why)
    return Verdict(
        verdict="rejected",
        reason="unknown_device",
        detail="This bridge may not send for that device.",
    )


def oddities(
    arrivals: Iterable[Arrival], new: Collection[Mark], clashing: Collection[Mark]
) -> list[Happening]:
    """Return what to note of conflicts and of records that could not be used.

    They are evidence too: a dose may be among them, so nothing of that time was missed.
    """
    noted: list[Happening] = []
    for one in arrivals:
        digest = one.payload_hash.hex()
        if one.mark in clashing:
            name = f"conflict:{one.epoch}:{one.sequence}:{digest[:16]}"
            noted.append(_odd(one, name, "conflict", {"payload_hash": digest}))
        elif one.mark in new and one.status == "quarantined":
            name = f"quarantine:{one.epoch}:{one.sequence}"
            noted.append(_odd(one, name, "quarantine", {"reason": one.reason}))
    return noted


def _odd(one: Arrival, name: str, kind: str, detail: Mapping[str, object]) -> Happening:
    return Happening(
        one.device_id,
        name,
        kind,
        one.occurred_at,
        one.epoch,
        one.sequence,
        dict(detail),
    )
