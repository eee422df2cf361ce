"""What follows when a device begins a new timeline."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.devices.assign import bearers, lock
from backend.devices.epochs import open_epoch
from backend.devices.holes import holes
from backend.doses.touched import in_holes
from backend.ingest.accept import follow
from backend.people.hold import hold


def renumber(
    session: Session,
    device_id: UUID,
    *,
    after: tuple[int, int] | None,
    reason: str,
    now: datetime,
) -> int:
    """Return the epoch that follows record `after` (epoch, sequence).

    A device that was reset lost what it had not handed over, so doses that were called
    missed may be unknown from here on.
    """
    lock(session, [device_id])
    torn = holes(session, [device_id])
    opened = open_epoch(session, device_id, after=after, reason=reason, now=now)
    torn ^= holes(session, [device_id])
    held = hold(session, bearers(session, {hole.device_id for hole in torn}))
    facts = {fact for fact in in_holes(session, torn) if fact[0] in held}
    patients = {patient_id for patient_id, _, _ in facts}
    follow(session, facts, patients=patients, now=now, cause="device_reset")
    return opened
