"""How a patient, or whoever treats them, wants reminders: in versions, with history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from backend.audit.record import Actor, record
from backend.clock import real_now
from backend.errors import Conflict, NotFound
from backend.people.hold import hold
from backend.people.register import Contact
from backend.regimens.tables import Regimen
from backend.reminders.adapt import undo
from backend.reminders.ladder import ladder_of, to_json
from backend.reminders.plan import CHANGED, renew
from backend.reminders.quiet import checked
from backend.reminders.tables import Caregiver, RegimenLadder, ReminderPreference


class SupersededLadder(Conflict):
    """Somebody changed the ladder since the caller read it."""


@dataclass(frozen=True, slots=True)
class Preference:
    """What a patient wishes: quiet hours, and whether reminders may follow habit."""

    quiet: tuple[time, time] | None = None
    adaptive: bool = False


def write_ladder(
    session: Session,
    patient_id: UUID,
    regimen_id: UUID,
    steps: Sequence[Mapping[str, object]],
    *,
    reason: str,
    replaces: int,
    fixed: bool = False,
    actor: Actor,
    now: datetime,
) -> int:
    """Write the next ladder of a regimen and return its version; what waits follows.

    No steps: the default of the drug's criticality again. `replaces` is the version the
    caller saw, 0 for none; `fixed` keeps its times from following a habit. Raises
    NotFound, Unprocessable, SupersededLadder.
    """
    hold(session, [patient_id])
    if session.get(Regimen, (patient_id, regimen_id)) is None:
        raise NotFound("There is no such regimen.")
    written = to_json(ladder_of(steps, "new")) if steps else []
    newest = session.exec(
        select(func.coalesce(func.max(col(RegimenLadder.version)), 0)).where(
            col(RegimenLadder.patient_id) == patient_id,
            col(RegimenLadder.regimen_id) == regimen_id,
        )
    ).one()
    if newest != replaces:
        raise SupersededLadder("The ladder was changed meanwhile.", newest=newest)
    session.add(
        RegimenLadder(
            patient_id=patient_id,
            regimen_id=regimen_id,
            version=newest + 1,
            steps=written,
            fixed=fixed,
            by=actor.id,
            reason=reason,
            recorded_at=real_now(),
        )
    )
    session.flush()
    detail = {"regimen_id": regimen_id, "version": newest + 1, "steps": len(written)}
    record(session, actor, "ladder_changed", patients=[patient_id], detail=detail)
    renew(session, [patient_id], because=CHANGED, now=now)
    return newest + 1


def prefer(
    session: Session,
    patient_id: UUID,
    preference: Preference,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Write what a patient wishes from now on; what waits follows.

    Not adaptive: what a habit had moved is taken back. Raises Unprocessable for quiet
    hours that are none.
    """
    if preference.quiet is not None:
        checked(*preference.quiet)
    hold(session, [patient_id])
    since, until = preference.quiet or (None, None)
    values = {
        "quiet_since": since and f"{since:%H:%M}",
        "quiet_until": until and f"{until:%H:%M}",
        "adaptive": preference.adaptive,
        "by": actor.id,
        "recorded_at": real_now(),
    }
    session.connection().execute(
        insert(ReminderPreference)
        .values(patient_id=patient_id, effective_from=now, **values)
        .on_conflict_do_update(
            index_elements=["patient_id", "effective_from"], set_=values
        )
    )
    if not preference.adaptive:
        undo(session, patient_id, by=actor.id, now=now)
    detail = {"quiet": preference.quiet is not None, "adaptive": preference.adaptive}
    record(session, actor, "reminders_preferred", patients=[patient_id], detail=detail)
    renew(session, [patient_id], now=now)


def name_caregiver(
    session: Session,
    patient_id: UUID,
    name: str,
    contact: Contact,
    *,
    language: str,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Write down whom a patient named; nothing is told them without a consent."""
    hold(session, [patient_id])
    named = Caregiver(
        patient_id=patient_id,
        caregiver_id=uuid4(),
        name=name,
        channel=contact.channel,
        address=contact.address,
        language=language,
        rank=contact.rank,
        since=now,
    )
    session.add(named)
    session.flush()
    detail = {"caregiver_id": named.caregiver_id, "channel": contact.channel}
    record(session, actor, "caregiver_named", patients=[patient_id], detail=detail)
    return named.caregiver_id


def caregiver_no_more(
    session: Session,
    patient_id: UUID,
    caregiver_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Tell somebody nothing any more; False when they were no caregiver."""
    hold(session, [patient_id])
    named = session.get(Caregiver, (patient_id, caregiver_id))
    if named is None or named.until is not None:
        return False
    named.until = now
    session.flush()
    detail = {"caregiver_id": caregiver_id}
    record(session, actor, "caregiver_ended", patients=[patient_id], detail=detail)
    renew(session, [patient_id], now=now)
    return True
