"""A clinic with people who can sign in, and browsers to do it with."""

import html
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from uuid import UUID

import httpx
from sqlmodel import Session, col, select

from backend.alerts.raise_ import Seen, trigger
from backend.alerts.tables import Alert
from backend.audit.record import SYSTEM
from backend.audit.tables import AuditRow
from backend.clock import domain_now, real_now
from backend.database import transaction
from backend.people.bridges import new_code
from backend.people.hold import hold
from backend.people.origin import cookie_name
from backend.people.passwords import hashed
from backend.people.sessions import open_session
from backend.people.tables import Account
from backend.regimens.tables import ScheduledDose
from backend.state.refresh import refresh
from backend.supply.tables import Reorder
from tests import builders
from tests.backend.ingest.world import World, a_world

PASSWORD = "correct horse battery"
HOUR = timedelta(hours=1)


@cache
def password_hash() -> str:
    return hashed(PASSWORD)


@dataclass(frozen=True, slots=True)
class Clinic:
    """A world about now, and the sign-in names of its readers."""

    world: World
    now: datetime
    clinician: str = "ada@seefeld.example"
    patient: str = "rosa@home.example"
    maker: str = "orders@acme.example"
    operator: str = "ops@seefeld.example"
    stranger: str = "eve@elsewhere.example"
    colleague: str = "bea@seefeld.example"
    other_patient: str = "otto@home.example"
    other_maker: str = "orders@other.example"

    @property
    def patient_id(self) -> UUID:
        return self.world.patient_id


def a_clinic_at_work(session: Session) -> Clinic:
    """Write a patient with doses about now, and everybody who can sign in.

    The stranger works elsewhere; the colleague is at the clinic and not on the team.
    """
    world = a_world(session)
    now = domain_now()
    clinic = Clinic(world, now)
    elsewhere = builders.a_clinic(session, name="Elsewhere")
    subjects = (
        (clinic.clinician, world.clinician),
        (clinic.patient, world.patient),
        (clinic.maker, world.manufacturer),
        (
            clinic.operator,
            builders.a_clinician(session, world.clinic, name="Olaf", role="operator"),
        ),
        (clinic.stranger, builders.a_clinician(session, elsewhere, name="Dr. Eve")),
        (clinic.colleague, builders.a_clinician(session, world.clinic, name="Dr. Bea")),
        (
            clinic.other_patient,
            builders.a_patient(
                session, elsewhere, given_name="Otto", family_name="Frei"
            ),
        ),
        (clinic.other_maker, builders.a_manufacturer(session, name="Other")),
    )
    for login, subject in subjects:
        builders.an_account(
            session, subject, login=login, password_hash=password_hash()
        )
    for hours in (-26, -2, 22):
        a_dose(session, world, now + hours * HOUR)
    hold(session, [world.patient_id])
    refresh(session, [world.patient_id], now=now)
    return clinic


def a_dose(session: Session, world: World, due_at: datetime) -> ScheduledDose:
    return builders.written(
        session,
        ScheduledDose(
            patient_id=world.patient_id,
            regimen_id=world.regimen.regimen_id,
            occurrence=f"{due_at:%Y-%m-%dT%H:%M}",
            version=1,
            dose_day=(due_at - 3 * HOUR).date(),
            due_at=due_at,
            local_time=f"{due_at:%H:%M}",
            zone="UTC",
            tzdb="2026a",
            window_from=due_at - 4 * HOUR,
            window_until=due_at + 4 * HOUR,
            amount=Decimal(1),
            unit="1",
        ),
    )


def an_open_alert(
    session: Session, clinic: Clinic, title: str = "Three missed"
) -> UUID:
    """Raise an alert of the patient and return its id."""
    seen = Seen(
        clinic.patient_id, "missed_run", 1, "high", title, {"missed_in_a_row": 3}
    )
    hold(session, [clinic.patient_id])
    trigger(session, [seen], now=clinic.now)
    refresh(session, [clinic.patient_id], now=clinic.now)
    return session.exec(select(Alert.alert_id)).one()


def an_order(session: Session, clinic: Clinic, state: str = "placed") -> UUID:
    order = Reorder(
        patient_id=clinic.patient_id,
        clinic_id=clinic.world.clinic.clinic_id,
        gtin=clinic.world.product.gtin,
        packs=2,
        state=state,
        why={"needed_by": "2026-12-01", "reorder_point": "7.5"},
        opened_at=clinic.now,
        changed_at=clinic.now,
    )
    return builders.written(session, order).reorder_id


class Browser:
    """A signed-in browser: it follows redirects and sends what forms carry."""

    def __init__(self, at: httpx.URL) -> None:
        self.http = httpx.Client(
            base_url=at,
            headers={"Accept": "text/html"},
            follow_redirects=True,
            timeout=20,
            trust_env=False,
        )

    def sign_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/sign-in", login=login, password=password)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, **fields: object) -> httpx.Response:
        origin = str(self.http.base_url).rstrip("/")
        return self.http.post(
            path,
            data={name: str(value) for name, value in fields.items()},
            headers={"Origin": origin},
        )

    def submit(self, page: str, path: str, **fields: object) -> httpx.Response:
        """Post a form of a page with the token that the page gave it."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert token is not None, f"{page} has no form"
        return self.post(path, csrf=token.group(1), **fields)


@contextmanager
def signed_in(web: httpx.Client, login: str) -> Generator[Browser]:
    """Give a browser that has signed in; by no form, for a password takes its time."""
    browser = Browser(web.base_url)
    with transaction() as session:
        account = session.exec(select(Account).where(Account.login == login)).one()
        cookie = open_session(session, account, real=real_now())
    browser.http.cookies.set(cookie_name(), cookie)
    with browser.http:
        yield browser


def a_bridge_token(clinic: Clinic, web: httpx.Client) -> str:
    """Return the token of a bridge that was paired over HTTP."""
    with transaction() as session:
        code = new_code(
            session,
            clinic.world.clinic.clinic_id,
            kind="gateway",
            actor=SYSTEM,
            real=real_now(),
        )
    paired = web.post("/v1/bridges/pair", json={"code": code, "name": "ward"})
    return str(paired.json()["token"])


def audited(login: str, action: str) -> Sequence[AuditRow]:
    """Return the audit rows of what somebody did, oldest first."""
    with transaction() as session:
        return session.exec(
            select(AuditRow)
            .join(Account, col(Account.account_id) == col(AuditRow.actor_id))
            .where(Account.login == login, AuditRow.action == action)
            .order_by(col(AuditRow.recorded_at))
        ).all()


def next_in(page: str) -> str | None:
    """Return where a list goes on, None on its last page."""
    found = re.search(r'href="([^"]+)" rel="next"', page)
    return html.unescape(found.group(1)) if found else None
