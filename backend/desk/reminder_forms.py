"""The forms of `people` about reminders: caregivers, quiet hours, pauses."""

import argparse
from collections.abc import Mapping
from datetime import date, datetime, time

from backend.desk.form import Desk, Form, patient_argument

CAREGIVER = """\
Write down somebody who is told when a patient does not answer, or no longer.

Nothing is told them before the patient consents: `people consent grant PATIENT
caregiver --to NAME`. They learn the patient's first name and no drug.
"""
QUIET = """\
Write down when nothing may ring, or that reminders may follow the patient's habit.

Times are local. A drug that must not be missed rings all the same. Without --from and
--until there are no quiet hours; without --adaptive reminders keep their times.
"""
PAUSE = """\
Let nothing ring for some days, or end that.

WHY is vacation or hospital: in hospital doses are not missed but unknown. Both days
are included; without --until it lasts until it is ended.
"""


def _caregiver(desk: Desk) -> str:
    from backend.desk.change import named_contact
    from backend.desk.whom import caregiver
    from backend.people.register import Contact
    from backend.reminders.wishes import caregiver_no_more, name_caregiver

    asked, whose = desk.asked, (desk.session, desk.patient_id)
    if asked.what == "add":
        contact = named_contact(Contact(asked.channel, asked.address, asked.rank))
        added = name_caregiver(
            *whose,
            asked.name,
            contact,
            language=asked.language,
            actor=desk.actor,
            now=desk.now,
        )
        return f"added: {added}"
    who = caregiver(*whose, asked.name)
    caregiver_no_more(*whose, who, actor=desk.actor, now=desk.now)
    return "ended"


def _quiet(desk: Desk) -> str:
    from backend.errors import Unprocessable
    from backend.reminders.wishes import Preference, prefer

    since, until = desk.asked.since, desk.asked.until
    if (since is None) != (until is None):
        raise Unprocessable("Quiet hours have both ends: --from and --until.")
    quiet = (since, until) if since is not None and until is not None else None
    preference = Preference(quiet, adaptive=desk.asked.adaptive)
    whose = desk.session, desk.patient_id
    prefer(*whose, preference, actor=desk.actor, now=desk.now)
    return "written"


def _pause(desk: Desk) -> str:
    from backend.ingest.pause import days, pause, resume_all

    asked, whose = desk.asked, (desk.session, desk.patient_id)
    if asked.what == "end":
        ended = resume_all(*whose, asked.why, actor=desk.actor, now=desk.now)
        return "ended" if ended else "nothing to end: no such pause"
    first = asked.first or desk.now.date()
    since, until = days(*whose, first, asked.last, now=desk.now)
    by, now = desk.actor, desk.now
    pause(*whose, asked.why, since=since, until=until, actor=by, now=now)
    return "paused"


def _caregiver_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["add", "end"])
    patient_argument(parser)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--channel", default="sms", help="sms, voice or email")
    parser.add_argument("--address", default="", help="add: +41790000000, or a mailbox")
    parser.add_argument("--language", default="en", help="BCP 47 tag (default en)")
    parser.add_argument("--rank", type=int, default=1, metavar="N")


def _quiet_arguments(parser: argparse.ArgumentParser) -> None:
    patient_argument(parser)
    parser.add_argument("--from", dest="since", type=_time, metavar="22:00")
    parser.add_argument("--until", type=_time, metavar="07:00")
    parser.add_argument("--adaptive", action="store_true")


def _pause_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["begin", "end"])
    patient_argument(parser)
    parser.add_argument("why", metavar="WHY", choices=["vacation", "hospital"])
    parser.add_argument("--from", dest="first", type=date.fromisoformat)
    parser.add_argument("--until", dest="last", type=date.fromisoformat)


def _time(text: str) -> time:
    return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 (a local time)


FORMS: Mapping[str, Form] = {
    "caregiver": Form(_caregiver, _caregiver_arguments, CAREGIVER),
    "quiet-hours": Form(_quiet, _quiet_arguments, QUIET),
    "pause": Form(_pause, _pause_arguments, PAUSE),
}
