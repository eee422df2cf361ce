"""Timelines of a device: the backend is the authority on which is which."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.devices.assign import lock


def open_epoch(
    session: Session,
    device_id: UUID,
    *,
    after: tuple[int, int] | None,
    reason: str,
    now: datetime,
) -> int:
    """Return the number of the epoch that follows record `after` (epoch, sequence).

    Asking again with the same facts returns the same epoch, so that two bridges that
    notice the same reset agree.
    """
    lock(session, [device_id])
    epoch, sequence = after or (None, None)
    known = fetch(
        session,
        """SELECT epoch FROM device_epoch WHERE device_id = :id AND reason = :reason
        AND after_epoch IS NOT DISTINCT FROM :epoch
        AND after_sequence IS NOT DISTINCT FROM :sequence""",
        id=device_id,
        reason=reason,
        epoch=epoch,
        sequence=sequence,
    )
    if known:
        return int(known[0]["epoch"])
    highest = fetch(
        session,
        """SELECT GREATEST(
            (SELECT max(epoch) FROM device_epoch WHERE device_id = :id),
            (SELECT max(epoch) FROM device_record WHERE device_id = :id),
            CAST(:least AS int)) AS n""",
        id=device_id,
        least=epoch,
    )[0]["n"]
    opened = 0 if highest is None else highest + 1
    execute(
        session,
        """INSERT INTO device_epoch
            (device_id, epoch, after_epoch, after_sequence, reason, opened_at)
        VALUES (:id, :opened, :epoch, :sequence, :reason, :now)""",
        id=device_id,
        opened=opened,
        epoch=epoch,
        sequence=sequence,
        reason=reason,
        now=now,
    )
    return opened


def numbering(session: Session, device_id: UUID) -> int:
    """Return the epoch in which the device's present record numbers began."""
    began = fetch(
        session,
        """SELECT max(epoch) AS n FROM device_epoch
        WHERE device_id = :id AND reason IN ('reset', 'unknown')""",
        id=device_id,
    )[0]["n"]
    return began or 0
