"""All that happens when device data arrives, in one transaction, top to bottom.

The caller opens the transaction and answers after its commit. Only rows that were new
have consequences, so that whatever is sent again changes nothing.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.reconsider import reconsider, warn_short
from backend.audit.record import record as audit
from backend.devices.arrive import store
from backend.devices.assign import lock
from backend.devices.contact import note
from backend.devices.holes import holes
from backend.doses.changes import Changes, Fact
from backend.doses.days import TAKEN
from backend.doses.record import record
from backend.doses.rematch import rematch
from backend.doses.touched import in_holes
from backend.feeds.orders import publish
from backend.ingest.guard import watch
from backend.ingest.items import DoseItem, Read, Verdict
from backend.ingest.next_dose import go_on
from backend.ingest.sort import device_ids, new_doses, sort
from backend.ingest.verdicts import oddities, refused, verdicts
from backend.ingest.worklist import settled
from backend.people.readers import Sender
from backend.reminders.plan import cancel_for, reopen
from backend.state.refresh import refresh
from backend.supply.reorder import reviewed
from backend.supply.use import holdings, settle


def accept_doses(
    session: Session,
    reads: Sequence[Read[DoseItem]],
    *,
    by: Sender,
    now: datetime,
    real: datetime,
) -> list[Verdict]:
    """Store a batch of dose records with all that follows; one verdict an item."""
    mine = lock(session, device_ids(reads), clinic_id=by.clinic_id)
    incoming = sort(session, reads, mine, now)
    arrivals = {i: one.arrival for i, one in incoming.items()}
    torn = holes(session, mine)
    new, clashing = store(
        session, list(arrivals.values()), bridge_id=by.bridge_id, real=real
    )
    doses = new_doses(incoming.values(), new, now)
    fresh = record(session, doses, now=now)
    odd = oddities(arrivals.values(), new, clashing)
    noted = note(session, odd, bridge_id=by.bridge_id, now=now)
    if torn or noted:
        torn ^= holes(session, mine)
    facts = {
        (dose.patient_id, dose.regimen_id, dose.occurred_at.date())
        for dose in doses
        if dose.regimen_id is not None
    } | in_holes(session, torn)
    patients = {dose.patient_id for dose in doses} | {fact[0] for fact in facts}
    follow(
        session,
        facts,
        patients=patients,
        events={
            (d.patient_id, d.dose_event_id) for d in doses if d.dose_event_id in fresh
        },
        now=now,
        cause="dose_recorded",
    )
    said = verdicts(arrivals, new, clashing)
    answer = [said.get(i) or refused(read) for i, read in enumerate(reads)]
    if new or noted:
        audit(
            session,
            by.actor(),
            "dose_events_received",
            patients=patients,
            detail=dict(Counter(verdict.verdict for verdict in answer)),
        )
    return answer


def follow(
    session: Session,
    facts: Collection[Fact],
    *,
    patients: Collection[UUID],
    events: Collection[tuple[UUID, UUID]] = (),
    now: datetime,
    cause: str,
) -> Changes:
    """Do all that follows from new facts about these patients, who must be held.

    Match again; cancel the reminders of doses that were taken, and the alerts that they
    had no answer; plan the reminders of doses that turn out not to be taken; take from
    stock, see anew how long it lasts and open the reorder; take back what is disproved;
    hold what was taken as needed to its limits; bring the state rows up to date; plan
    what follows the last taken dose; show the manufacturer what was ordered. `events`
    are dose events that stock and limits must look at even where no label changes.
    """
    if not patients:
        return Changes()
    changes = rematch(session, facts, now=now, cause=cause)
    taken = [change.dose for change in changes.doses if change.after in TAKEN]
    cancel_for(session, taken, because=cause, now=now)
    settled(session, taken, because=cause, now=now)
    was_taken = [change.dose for change in changes.doses if change.before in TAKEN]
    reopen(session, set(was_taken).difference(taken), now=now)
    stock = settle(session, changes.matched().union(events), now=now)
    moved = stock.changed | holdings(session, changes.settled())
    supply = reviewed(session, moved, now=now)
    reconsider(session, patients, stock.inconvertible, now=now)
    warn_short(session, supply.short, now=now)
    watch(session, _unscheduled(events, changes), now=now)
    refresh(session, patients, now=now)
    again = go_on(session, changes, now=now)
    if again:
        whose = {patient_id for patient_id, _, _ in again}
        follow(session, again, patients=whose, now=now, cause="next_dose")
    for order in supply.opened:  # last, for the lock on a feed's end is everybody's
        publish(session, order, now=now)
    return changes


def _unscheduled(
    events: Collection[tuple[UUID, UUID]], changes: Changes
) -> set[tuple[UUID, UUID]]:
    """The events that are no scheduled dose, so perhaps one as needed."""
    doses = {(one.patient_id, one.dose_event_id) for one in changes.doses}
    relabelled = {(one.patient_id, one.dose_event_id) for one in changes.events}
    return relabelled.union(events) - doses
