"""The page of reminders with values like those of a working day."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from backend.dashboards.frame import Frame
from backend.dashboards.reminder_views import (
    LadderRow,
    LedgerRow,
    PauseRow,
    RemindersPage,
    StepRow,
    Whom,
)

WHOM = (
    Whom("sms patient", "Patient: text"),
    Whom("voice patient", "Patient: call"),
    Whom("sms caregiver", "Caregiver: text"),
    Whom("worklist clinic", "Clinic: worklist"),
)
STEPS = (
    StepRow(-15, "sms patient", "15 min before: text to the patient"),
    StepRow(15, "sms patient", "15 min after: text to the patient"),
    StepRow(30, "voice patient", "30 min after: call to the patient"),
    StepRow(45, "sms caregiver", "45 min after: text to the caregiver"),
    StepRow(60, "worklist clinic", "60 min after: entry in the worklist of the clinic"),
)
LADDERS = (
    LadderRow(
        UUID(int=1),
        "tacrolimus",
        "critical",
        2,
        STEPS,
        (StepRow(None, "sms patient"),),
        "Changed Mon 1 Jun 09:12 by Dr Ruth Meier: asked for a call first",
        fixed=True,
    ),
    LadderRow(UUID(int=2), "amlodipine", "standard", 0, STEPS[1:2]),
)


def a_ledger(frame: Frame) -> tuple[LedgerRow, ...]:
    asked = LedgerRow(
        UUID(int=11),
        frame.now - timedelta(hours=2),
        "Reminder",
        "the patient",
        "text",
        "+41 ••• ••• 01",
        "delivered",
        "Dose due Mon 1 Jun 16:00, device heard until Mon 1 Jun 16:10; "
        "late, of the ladder regimen/2",
        "Your 16:00 dose has not been recorded yet. Ref K3M9QZ",
        (
            "Mon 1 Jun 16:15 the provider was busy (20429)",
            "Mon 1 Jun 16:16 accepted by the provider",
            "Mon 1 Jun 16:16 delivered",
        ),
        "Mon 1 Jun 16:20 answered: later until Mon 1 Jun 16:50, the dose is late",
    )
    withdrawn = replace(
        asked,
        message_id=UUID(int=12),
        what="Word to a caregiver",
        to="the caregiver",
        state="cancelled",
        why="Dose due Mon 1 Jun 08:00, withdrawn: dose recorded; "
        "caregiver, of the ladder critical/1",
        body=None,
        steps=(),
        after="Mon 1 Jun 08:40 the dose is recorded",
    )
    raised = replace(
        asked,
        message_id=UUID(int=13),
        what="Entry in the worklist",
        to="the clinic",
        channel="entry in the worklist",
        address="",
        state="failed",
    )
    return asked, withdrawn, raised


def reminder_pages(
    clinician: Frame, patient: Frame
) -> dict[str, tuple[RemindersPage, Frame]]:
    path = f"/patients/{UUID(int=1)}/reminders"
    page = RemindersPage(
        name="Amara Okafor",
        path=path,
        back_href=f"/patients/{UUID(int=1)}",
        own=False,
        ladders=LADDERS,
        whom=WHOM,
        pauses=(
            PauseRow(
                UUID(int=3),
                "On vacation, from Mon 1 Jun 00:00 until Mon 8 Jun 00:00",
                "camping",
                may_end=True,
            ),
            PauseRow(
                UUID(int=4),
                "In hospital, from Fri 1 May 00:00 until Tue 5 May 00:00",
                "",
                may_end=False,
            ),
        ),
        pause_kinds=(Whom("hospital", "In hospital"), Whom("vacation", "On vacation")),
        quiet_since="22:00",
        quiet_until="07:00",
        adaptive=True,
        moved=("tacrolimus, 08:00: 15 min later",),
        today=date(2026, 6, 1),
        rows=a_ledger(clinician),
        next_href=f"{path}?after=1",
    )
    own = replace(
        page,
        path="/reminders",
        back_href="/me",
        own=True,
        pause_kinds=(Whom("vacation", "On vacation"),),
        section="/reminders",
    )
    empty = replace(own, ladders=(), pauses=(), moved=(), rows=(), next_href=None)
    return {
        "reminders": (page, clinician),
        "reminders-own": (own, patient),
        "reminders-none": (empty, patient),
    }
