"""The page of a patient's reminders: ladders, wishes, pauses, and the ledger."""

from collections.abc import Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from backend.dashboards.keyset import (
    USUAL,
    address,
    page_of,
    written,
)
from backend.dashboards.ledger import WAYS, WHOM, ledger, ledger_row
from backend.dashboards.reminder_views import (
    LadderRow,
    PauseRow,
    RemindersPage,
    StepRow,
    Whom,
)
from backend.dashboards.render import moment
from backend.dashboards.visible import Sight
from backend.errors import NotFound
from backend.ingest.pause import may_pause
from backend.people.push_key import application_key
from backend.reminders.ladder import CHANNELS, MINUTE, Step
from backend.reminders.plan import ladder

BLANK_STEPS = 2
SHORT = {"sms": "text", "voice": "call", "email": "mail", "push": "push"}
PAUSES = {"hospital": "In hospital", "vacation": "On vacation"}


def reminders_page(
    sight: Sight,
    patient_id: UUID,
    *,
    zone: str,
    path: str,
    own: bool = False,
    after: str | None = None,
    limit: int = USUAL,
) -> RemindersPage:
    """Return how a patient is reminded, with the ledger; raises NotFound."""
    person = sight.row(
        "p.given_name || ' ' || p.family_name AS name",
        "patient p",
        ("p.patient_id = :patient",),
        of="p.patient_id",
        given={"patient": patient_id},
    )
    if person is None:
        raise NotFound("There is no such patient.")
    found = ledger(sight, patient_id, after=after, most=limit + 1)
    rows, last = page_of(found, limit)
    onward = last and written(last["due_at"], last["message_id"])
    quiet_since, quiet_until, adaptive = _wishes(sight, patient_id)
    return RemindersPage(
        name=person["name"],
        path=path,
        back_href="/me" if own else f"/patients/{patient_id}",
        own=own,
        ladders=tuple(_ladder(row, zone) for row in _regimens(sight, patient_id)),
        whom=_offered(),
        pauses=tuple(_pause(row, sight, zone) for row in _pauses(sight, patient_id)),
        pause_kinds=tuple(
            Whom(kind, PAUSES[kind]) for kind in may_pause(sight.reader.role)
        ),
        quiet_since=quiet_since,
        quiet_until=quiet_until,
        adaptive=adaptive,
        moved=tuple(_moved(row) for row in _shifts(sight, patient_id)),
        today=sight.now.astimezone(ZoneInfo(zone)).date(),
        rows=tuple(ledger_row(row, zone) for row in rows),
        push_key=application_key() if own else None,
        next_href=address(path, after=onward) if onward else None,
        section="/reminders" if own else "/patients",
    )


def sentence(step: Step) -> str:
    """Return a step in words: 15 min before: text to the patient."""
    minutes = step.delay // MINUTE
    when = "when it is due" if not minutes else f"{abs(minutes)} min "
    if minutes:
        when += "before" if minutes < 0 else "after"
    return f"{when}: {WAYS[step.channel]} {WHOM[step.recipient]}"


def _ladder(row: RowMapping, zone: str) -> LadderRow:
    climbed = ladder(row)
    steps = tuple(
        StepRow(step.delay // MINUTE, _way(step), sentence(step))
        for step in climbed.steps
    )
    written_by = ""
    if row["ladder_version"]:
        at, who = moment(row["written_at"], zone), row["written_by"] or "the clinic"
        written_by = f"Changed {at} by {who}: {row['reason']}"
    return LadderRow(
        regimen_id=row["regimen_id"],
        medicine=row["drug"],
        criticality=row["criticality"],
        version=row["ladder_version"] or 0,
        steps=steps,
        blank=tuple(StepRow(None, "sms patient") for _ in range(BLANK_STEPS)),
        written=written_by,
        fixed=bool(row["fixed"]),
    )


def _way(step: Step) -> str:
    return f"{step.channel} {step.recipient}"


def _offered() -> tuple[Whom, ...]:
    """Return every way to reach somebody, short enough for a narrow form."""
    return tuple(
        Whom(f"{channel} {whom}", f"{whom.capitalize()}: {SHORT.get(channel, channel)}")
        for whom, channels in CHANNELS.items()
        for channel in channels
    )


def _pause(row: RowMapping, sight: Sight, zone: str) -> PauseRow:
    until = row["ended_at"] or row["until"]
    span = f"from {moment(row['since'], zone)} "
    span += "until further notice" if until is None else f"until {moment(until, zone)}"
    over = until is not None and until <= sight.now
    mine = row["kind"] in may_pause(sight.reader.role)
    return PauseRow(
        row["pause_id"],
        f"{PAUSES[row['kind']]}, {span}",
        row["reason"],
        mine and not over and row["ended_at"] is None,
    )


def _moved(row: RowMapping) -> str:
    minutes = row["shift_s"] // 60
    way = "later" if minutes > 0 else "earlier"
    return f"{row['drug']}, {row['local_time']}: {abs(minutes)} min {way}"


def _regimens(sight: Sight, patient_id: UUID) -> Sequence[RowMapping]:
    return sight.rows(
        """g.regimen_id, g.drug, g.criticality, v.remind_after_s, l.steps, l.fixed,
        l.version AS ladder_version, l.reason, l.recorded_at AS written_at,
        (SELECT k.name FROM account a JOIN clinician k ON k.clinician_id = a.subject_id
         WHERE a.account_id = l.by) AS written_by""",
        """regimen g JOIN LATERAL (SELECT * FROM regimen_version v
            WHERE v.patient_id = g.patient_id AND v.regimen_id = g.regimen_id
            ORDER BY version DESC LIMIT 1) v ON true
        LEFT JOIN LATERAL (SELECT * FROM regimen_ladder l
            WHERE l.patient_id = g.patient_id AND l.regimen_id = g.regimen_id
            ORDER BY version DESC LIMIT 1) l ON true""",
        ("g.patient_id = :patient", "v.until IS NULL OR v.until > :now"),
        of="g.patient_id",
        order="g.drug, g.regimen_id",
        given={"patient": patient_id},
    )


def _pauses(sight: Sight, patient_id: UUID) -> Sequence[RowMapping]:
    return sight.rows(
        "u.pause_id, u.kind, u.since, u.until, u.reason, u.ended_at",
        "reminder_pause u",
        ("u.patient_id = :patient",),
        of="u.patient_id",
        order="u.since DESC",
        most=10,
        given={"patient": patient_id},
    )


def _wishes(sight: Sight, patient_id: UUID) -> tuple[str, str, bool]:
    found = sight.rows(
        "w.quiet_since, w.quiet_until, w.adaptive",
        "reminder_preference w",
        ("w.patient_id = :patient", "w.effective_from <= :now"),
        of="w.patient_id",
        order="w.effective_from DESC",
        most=1,
        given={"patient": patient_id},
    )
    if not found:
        return "", "", False
    (row,) = found
    return row["quiet_since"] or "", row["quiet_until"] or "", row["adaptive"]


def _shifts(sight: Sight, patient_id: UUID) -> Sequence[RowMapping]:
    found = sight.rows(
        "DISTINCT ON (s.regimen_id, s.local_time) s.local_time, s.shift_s, g.drug",
        "reminder_shift s JOIN regimen g USING (patient_id, regimen_id)",
        ("s.patient_id = :patient",),
        of="s.patient_id",
        order="s.regimen_id, s.local_time, s.since DESC",
        given={"patient": patient_id},
    )
    return [row for row in found if row["shift_s"]]
