"""Sort a batch of dose records: whose device, whose patient, usable or kept raw."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from sqlmodel import Session

from backend.devices.arrive import Arrival, Mark
from backend.devices.assign import Bearer, Place, bearers, resolve
from backend.doses.record import NewDose
from backend.ingest.items import Broken, DoseItem, EventItem, Item, Read
from backend.ingest.judge import believable, is_live, objection
from backend.people.hold import hold


@dataclass(frozen=True, slots=True)
class Incoming:
    """An item that may be stored, with whom it belongs to."""

    arrival: Arrival
    item: DoseItem | Broken
    bearer: Bearer | None


def device_ids(reads: Iterable[Read[Item]]) -> set[UUID]:
    """Return the devices that a batch names."""
    identities = (
        read.item.identity if isinstance(read.item, Broken) else read.item
        for read in reads
    )
    return {identity.device_id for identity in identities if identity is not None}


def sort(
    session: Session,
    reads: Sequence[Read[DoseItem]],
    mine: Collection[UUID],
    now: datetime,
) -> dict[int, Incoming]:
    """The items of our devices by place; all they ever served are held from here on."""
    held = hold(session, bearers(session, mine))
    usable = {
        i: Place(read.item.device_id, read.item.compartment or 0, read.item.occurred_at)
        for i, read in enumerate(reads)
        if isinstance(read.item, DoseItem)
        and read.item.device_id in mine
        and read.item.occurred_at is not None
    }
    found = dict(zip(usable, resolve(session, list(usable.values())), strict=True))
    owners = {i: b for i, b in found.items() if b is not None and b.patient_id in held}
    incoming: dict[int, Incoming] = {}
    for i, read in enumerate(reads):
        arrival = _arrival(read, assigned=i in owners, now=now)
        if arrival is not None and arrival.device_id in mine:
            incoming[i] = Incoming(arrival, read.item, owners.get(i))
    return incoming


def _arrival(read: Read[DoseItem], *, assigned: bool, now: datetime) -> Arrival | None:
    item = read.item
    if isinstance(item, Broken):
        return unreadable(item)
    reason = objection(item, now=now)
    dated = reason is None or reason == "undecodable"
    return Arrival(
        item.device_id,
        item.epoch,
        item.sequence,
        item.payload_hash,
        {key: value for key, value in as_kept(read.sent, item).items() if key != "raw"},
        item.raw,
        "quarantined" if reason else "used" if assigned else "unassigned",
        reason or (None if assigned else "unassigned"),
        occurred_at=believable(item.occurred_at, now=now) if dated else None,
    )


def as_kept(
    sent: Mapping[str, object], item: DoseItem | EventItem
) -> dict[str, object]:
    """Return what was sent, with when and where in a form that the database reads too.

    A number of seconds, for example, is an instant for us and an error for it.
    """
    kept = {**sent}
    if item.occurred_at is not None:
        kept["occurred_at"] = item.occurred_at.isoformat()
    if isinstance(item, DoseItem) and item.compartment is not None:
        kept["compartment"] = item.compartment
    return kept


def unreadable(item: Broken) -> Arrival | None:
    """Return what is kept of an item that breaks the schema, if it says who it is."""
    who = item.identity
    return who and Arrival(
        who.device_id,
        who.epoch,
        who.sequence,
        who.payload_hash,
        item.item,
        None,
        "quarantined",
        "malformed",
        item.why,
    )


def new_doses(
    incoming: Iterable[Incoming], new: Collection[Mark], now: datetime
) -> list[NewDose]:
    return [
        new_dose(one.item, one.bearer, now=now)
        for one in incoming
        if one.arrival.mark in new
        and one.arrival.status == "used"
        and isinstance(one.item, DoseItem)
        and one.bearer is not None
    ]


def new_dose(item: DoseItem, bearer: Bearer, *, now: datetime) -> NewDose:
    """Return the dose event that a usable record of this bearer tells of."""
    if item.occurred_at is None or item.evidence is None:
        raise ValueError("only a judged record makes a dose event")
    return NewDose(
        patient_id=bearer.patient_id,
        # From the identity, so that the same record is the same event everywhere.
        dose_event_id=uuid5(item.device_id, f"{item.epoch}/{item.sequence}"),
        regimen_id=bearer.regimen_id,
        evidence=item.evidence,
        occurred_at=item.occurred_at,
        uncertainty_s=item.uncertainty_s,
        amount=item.amount,
        unit=item.unit,
        live=is_live(item, now=now),
        said=item.label,
        device_id=item.device_id,
        compartment=item.compartment or 0,
        epoch=item.epoch,
        sequence=item.sequence,
    )
