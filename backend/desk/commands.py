"""What an operator types about a patient: `python -m backend people | erase`.

Loads nothing heavy for its help.
"""

import argparse
from collections.abc import Mapping
from datetime import datetime

from backend.desk.form import Desk, Form, patient_argument
from backend.desk.reminder_forms import FORMS as REMINDERS
from backend.errors import Refused

CONSENT = """\
Write down what a patient allows, or allows no longer.

PURPOSE is care, reminders or naming (by the clinic), supply or in_use (a manufacturer:
--to), caregiver (somebody the patient named: --to).
Messages name the drug for who allows naming, and for nobody else.
Who allows reminders gets those of the doses ahead; when reminders are withdrawn none
goes any more. When supply is withdrawn, orders that were not shipped are cancelled
and their manufacturer is told so. Care that is withdrawn closes the file at once.
"""
CONTACT = """\
Write down where a patient can be reached, or no longer.

CHANNEL is sms, voice or email. Reminders go to the sms number of the lowest rank.
"""
ZONE = """\
Let a patient live by another time zone, from now on.

The doses ahead are asked at the times of the new zone, and reminders move with them.
"""
LANGUAGE = """\
Address a patient in another language, from now on.

What waits to be sent is worded in it already.
"""
CARE_TEAM = """\
Let a clinician care for a patient, or no longer.

Only who is on the care team sees the patient. CLINICIAN is a sign-in name or an id.
"""


class NotConfirmed(Refused):
    """What cannot be undone wants --yes."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the forms of `people`."""
    forms = parser.add_subparsers(dest="form", required=True, metavar="WHAT")
    for name, form in FORMS.items():
        one = forms.add_parser(
            name,
            help=form.words.splitlines()[0],
            description=form.words,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        form.arguments(one)
        one.add_argument(
            "--by", required=True, metavar="LOGIN", help="the operator who does this"
        )


def erase_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patient", metavar="PATIENT_ID")
    parser.add_argument("--yes", action="store_true", help="it cannot be undone")


def run(asked: argparse.Namespace) -> str:
    """Do what is asked in one transaction, and return a line that says so."""
    from backend.clock import domain_now
    from backend.database import transaction
    from backend.desk import whom

    now = domain_now()
    with transaction() as session:
        actor, clinic_id = whom.operator(session, asked.by)
        patient_id = whom.patient(session, asked.patient, clinic_id)
        desk = Desk(session, asked, actor, clinic_id, patient_id, now)
        return FORMS[asked.form].run(desk)


def erase_patient(patient_id: str, *, sure: bool, now: datetime) -> list[str]:
    """Erase a patient and return a line a table; raises NotConfirmed unless `sure`."""
    from backend.audit.record import SYSTEM
    from backend.database import transaction
    from backend.desk.leave import erase_person
    from backend.people.commands import id_of

    if not sure:
        raise NotConfirmed("This cannot be undone: add --yes.")
    with transaction() as session:
        erased = erase_person(session, id_of(patient_id), actor=SYSTEM, now=now)
    return [f"{count:8} {table}" for table, count in sorted(erased.rows.items())]


def _consent(desk: Desk) -> str:
    from backend.desk.change import grant_consent
    from backend.desk.leave import withdraw_consent
    from backend.desk.whom import recipient

    asked = desk.asked
    to = recipient(
        desk.session, asked.purpose, asked.to, desk.patient_id, desk.clinic_id
    )
    whose = desk.session, desk.patient_id, asked.purpose, to
    if asked.what == "withdraw":
        ended = withdraw_consent(*whose, actor=desk.actor, now=desk.now)
        return "withdrawn" if ended else "nothing to withdraw: no such consent stands"
    grant_consent(
        *whose,
        version=asked.version,
        wording=f"consent-{asked.version}",
        actor=desk.actor,
        now=desk.now,
    )
    return "granted"


def _contact(desk: Desk) -> str:
    from backend.desk.change import reach_by, reach_no_more_by
    from backend.people.register import Contact

    asked, whose = desk.asked, (desk.session, desk.patient_id)
    if asked.what == "add":
        contact = Contact(asked.channel, asked.address, asked.rank)
        added = reach_by(*whose, contact, actor=desk.actor, now=desk.now)
        return "added" if added else "known already"
    ended = reach_no_more_by(
        *whose, asked.channel, asked.address, actor=desk.actor, now=desk.now
    )
    return "ended" if ended else "nothing to end: no such address"


def _zone(desk: Desk) -> str:
    from backend.desk.change import live_in

    where = desk.session, desk.patient_id, desk.asked.zone
    live_in(*where, actor=desk.actor, now=desk.now)
    return "moved"


def _language(desk: Desk) -> str:
    from backend.desk.change import address_in

    how = desk.session, desk.patient_id, desk.asked.language
    address_in(*how, actor=desk.actor, now=desk.now)
    return "changed"


def _care_team(desk: Desk) -> str:
    from backend.desk.change import care, care_no_more
    from backend.desk.whom import clinician

    who = clinician(desk.session, desk.asked.clinician, desk.clinic_id)
    whose = desk.session, desk.patient_id, who
    if desk.asked.what == "join":
        care(*whose, actor=desk.actor, now=desk.now)
        return "joined"
    left = care_no_more(*whose, actor=desk.actor, now=desk.now)
    return "left" if left else "nothing to leave: not on the care team"


def _consent_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["grant", "withdraw"])
    patient_argument(parser)
    parser.add_argument("purpose", metavar="PURPOSE")
    parser.add_argument(
        "--to", metavar="WHOM", help="by name; a manufacturer also by GLN"
    )
    parser.add_argument(
        "--version",
        type=int,
        default=1,
        metavar="N",
        help="of the text that was read to the patient (default 1)",
    )


def _contact_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["add", "end"])
    patient_argument(parser)
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("address", metavar="ADDRESS", help="+41790000000, or a mailbox")
    parser.add_argument(
        "--rank", type=int, default=1, metavar="N", help="add: best first (default 1)"
    )


def _zone_arguments(parser: argparse.ArgumentParser) -> None:
    patient_argument(parser)
    parser.add_argument("zone", metavar="ZONE", help="IANA name, as Europe/London")


def _language_arguments(parser: argparse.ArgumentParser) -> None:
    patient_argument(parser)
    parser.add_argument("language", metavar="LANGUAGE", help="BCP 47 tag, as de or en")


def _care_team_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["join", "leave"])
    patient_argument(parser)
    parser.add_argument("clinician", metavar="CLINICIAN")


FORMS: Mapping[str, Form] = {
    "consent": Form(_consent, _consent_arguments, CONSENT),
    "contact": Form(_contact, _contact_arguments, CONTACT),
    "zone": Form(_zone, _zone_arguments, ZONE),
    "language": Form(_language, _language_arguments, LANGUAGE),
    "care-team": Form(_care_team, _care_team_arguments, CARE_TEAM),
    **REMINDERS,
}
