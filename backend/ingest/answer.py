"""What a patient answers to a reminder, with all that follows, in one transaction.

A word is weaker than a record: a dose that is told is matched as such (ADR 0024). What
a patient left out stays a dose nobody saw, with what was said of it; what is unclear
goes to a person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.audit.record import Actor
from backend.audit.record import record as audit
from backend.clock import real_now
from backend.errors import NotFound
from backend.ingest.self_report import told_taken
from backend.ingest.worklist import SEVERITY, SKIPPED, answered, rule_of
from backend.people.hold import hold
from backend.reminders.asked import Asked, Dose, asked
from backend.reminders.climb import snooze_until
from backend.reminders.opt_out import Address, opt_in, opt_out
from backend.reminders.plan import cancel_for, renew, replan
from backend.reminders.tables import ReminderAnswer
from backend.state.refresh import refresh
from notifications.replies import Reply

SNOOZE = 15  # minutes, when no number was given
MOST_SNOOZES = 5  # a dose
LONGEST_SAID = 200  # signs of their words that an alert repeats


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a reply: the sentence that answers it, and the doses it was about.

    `key` and `words` are of the catalogues in `notifications.wording`.
    """

    key: str
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    doses: tuple[tuple[UUID, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One reply on its way: who said what, to which message, from where."""

    session: Session
    patient_id: UUID
    reply: Reply
    asked: Asked | None
    address: Address | None
    by: Actor
    now: datetime

    @property
    def open(self) -> Sequence[Dose]:
        return [dose for dose in self.asked.doses if dose.open] if self.asked else []

    def keys(self, doses: Sequence[Dose]) -> list[tuple[UUID, UUID, str]]:
        return [(self.patient_id, it.regimen_id, it.occurrence) for it in doses]


def answer(
    session: Session,
    patient_id: UUID,
    reply: Reply,
    *,
    message_id: UUID | None,
    now: datetime,
    by: Actor,
    address: Address | None = None,
) -> Answered:
    """Do what a patient's reply asks for and return how it is answered.

    It is about the message named, by `message_id` or by the reference it quotes, else
    about the latest reminder. `address` is (channel, address) it came from, for STOP
    and START; without one, that of the message. The same reply twice is the caller's to
    see. Raises NotFound for a patient who is not here.
    """
    if not hold(session, [patient_id]):
        raise NotFound("There is no such patient.")
    message = asked(
        session, patient_id, message_id=message_id, reference=reply.reference, now=now
    )
    turn = Turn(session, patient_id, reply, message, address, by, now)
    said = DOES[reply.kind](turn)
    audit(
        session,
        by,
        "reminder_answered",
        patients=[patient_id],
        detail={"kind": reply.kind, "doses": len(said.doses)},
    )
    refresh(session, [patient_id], now=now)
    return said


def _taken(turn: Turn) -> Answered:
    if not turn.asked:
        return _to_a_person(turn, "answered_nothing")
    doses = turn.open
    for dose in doses:
        _note(turn, dose)
        told_taken(
            turn.session,
            turn.patient_id,
            dose.regimen_id,
            at=turn.now,
            key=uuid5(turn.asked.message_id, f"{dose.regimen_id}/{dose.occurrence}"),
            now=turn.now,
        )
    if not doses:
        _note(turn)
        return Answered("answered_known")
    in_time = any(dose.window_until > turn.now for dose in doses)
    return _about(doses, "answered_taken" if in_time else "answered_noted")


def _skip(turn: Turn) -> Answered:
    if not turn.asked:
        return _to_a_person(turn, "answered_nothing")
    doses = turn.open
    for dose in doses:
        _note(turn, dose)
    keys = turn.keys(doses)
    cancel_for(turn.session, keys, because="skipped", now=turn.now)
    answered(turn.session, keys, now=turn.now)
    grave = [_left_out(turn, dose) for dose in doses if dose.criticality in SEVERITY]
    trigger(turn.session, grave, now=turn.now)
    if not doses:
        _note(turn)
        return Answered("answered_known")
    return _about(doses, "answered_skip")


def _snooze(turn: Turn) -> Answered:
    if not turn.asked:
        return _to_a_person(turn, "answered_nothing")
    if not turn.open:
        _note(turn)
        return Answered("answered_known")
    minutes = turn.reply.minutes or SNOOZE
    doses = [dose for dose in turn.open if dose.snoozes < MOST_SNOOZES]
    ends = {
        dose: until
        for dose in doses
        if (until := snooze_until(turn.now, minutes, dose.window_until)) > turn.now
    }
    if not ends:
        _note(turn)
        return Answered("answered_no_snooze")
    for dose, until in ends.items():
        _note(turn, dose, until=until)
    turn.session.flush()
    cancel_for(turn.session, turn.keys(list(ends)), because="snoozed", now=turn.now)
    replan(turn.session, [turn.patient_id], now=turn.now)
    first = min(ends, key=lambda dose: ends[dose])
    local = ends[first].astimezone(ZoneInfo(first.zone))
    return _about(list(ends), "answered_snooze", time=f"{local:%H:%M}")


def _stop(turn: Turn) -> Answered:
    _note(turn)
    address = _address(turn)
    if address and opt_out(turn.session, turn.patient_id, address, now=turn.now):
        renew(turn.session, [turn.patient_id], because="opted out", now=turn.now)
        channel = address[0]
        title = "Patient wants no more messages by this channel"
        said: dict[str, object] = {"channel": channel, "at": turn.now.isoformat()}
        _raise(turn, f"opted-out:{channel}", "medium", title, said)
        detail = {"channel": channel}
        audit(
            turn.session,
            turn.by,
            "messages_stopped",
            patients=[turn.patient_id],
            detail=detail,
        )
    return Answered("answered_stop")


def _start(turn: Turn) -> Answered:
    _note(turn)
    address = _address(turn)
    if address and opt_in(turn.session, turn.patient_id, address, now=turn.now):
        replan(turn.session, [turn.patient_id], now=turn.now)
        audit(
            turn.session,
            turn.by,
            "messages_started",
            patients=[turn.patient_id],
            detail={"channel": address[0]},
        )
    return Answered("answered_start")


def _help(turn: Turn) -> Answered:
    return _to_a_person(turn, "answered_help")


def _unclear(turn: Turn) -> Answered:
    return _to_a_person(turn, "answered_unclear")


DOES: Mapping[str, Callable[[Turn], Answered]] = {
    "taken": _taken,
    "skip": _skip,
    "snooze": _snooze,
    "stop": _stop,
    "start": _start,
    "help": _help,
    "unclear": _unclear,
}


def _note(turn: Turn, dose: Dose | None = None, until: datetime | None = None) -> None:
    reply = turn.reply
    turn.session.add(
        ReminderAnswer(
            patient_id=turn.patient_id,
            regimen_id=dose.regimen_id if dose else None,
            occurrence=dose.occurrence if dose else None,
            kind=reply.kind,
            until=until,
            reason=reply.reason,
            said=reply.text,
            message_id=turn.asked.message_id if turn.asked else None,
            at=turn.now,
            recorded_at=real_now(),
        )
    )
    turn.session.flush()


def _to_a_person(turn: Turn, key: str) -> Answered:
    _note(turn)
    asks = turn.reply.kind == "help"
    title = "Patient asks for help" if asks else "Patient wrote what is for a person"
    said: dict[str, object] = {
        "at": turn.now.isoformat(),
        "said": turn.reply.text[:LONGEST_SAID],
        "reason": turn.reply.reason or None,
    }
    code = "patient-asks"
    _raise(turn, f"{code}:{turn.reply.kind}", "high" if asks else "medium", title, said)
    return Answered(key)


def _left_out(turn: Turn, dose: Dose) -> Seen:
    local = f"{dose.due_at.astimezone(ZoneInfo(dose.zone)):%H:%M}"
    return Seen(
        turn.patient_id,
        rule_of(SKIPPED, dose.regimen_id, dose.occurrence),
        1,
        SEVERITY[dose.criticality],
        f"Patient leaves out the {local} dose",
        {
            "code": SKIPPED,
            "subject": str(dose.regimen_id),
            "dose_due_at": dose.due_at.isoformat(),
            "reason": turn.reply.reason[:LONGEST_SAID] or None,
        },
    )


def _raise(
    turn: Turn, rule: str, severity: str, title: str, said: Mapping[str, object]
) -> None:
    code, _, subject = rule.partition(":")
    finding = {"code": code, "subject": subject, **said}
    seen = Seen(turn.patient_id, rule, 1, severity, title, finding)
    trigger(turn.session, [seen], now=turn.now)


def _address(turn: Turn) -> Address | None:
    if turn.address is not None or turn.asked is None:
        return turn.address
    return turn.asked.channel, turn.asked.address


def _about(doses: Sequence[Dose], key: str, **words: str) -> Answered:
    about = tuple((dose.regimen_id, dose.occurrence) for dose in doses)
    return Answered(key, words, about)
