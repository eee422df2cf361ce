"""Nobody gets another's data: every route, asked by everybody who has no business."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import Session, col, select, update

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import real_now
from backend.database import transaction
from backend.devices.tables import DeviceEvent, DeviceRecord
from backend.feeds.tables import FeedHead, FeedRow
from backend.people.access import issue_access
from backend.people.bridges import new_code, pair, revoke
from backend.people.consent import withdraw
from backend.people.origin import cookie_name
from backend.people.sessions import LONGEST, find_session, open_session
from backend.people.tables import Account, Clinic, Clinician, Patient
from tests.backend.filled import MARK, fill
from tests.backend.foreign import Asker, Victim, offences, routes, secrets_in
from tests.builders import (
    NOW,
    a_bridge,
    a_clinic,
    a_clinician,
    a_device,
    a_manufacturer,
    a_patient,
    a_product,
    an_account,
)
from tests.serving import serving


@dataclass(frozen=True)
class World:
    """A patient with a row in every table, and everybody else."""

    victim: Victim
    askers: list[Asker]
    caring: Asker


def by_cookie(session: Session, name: str, account: Account, **more: object) -> Asker:
    """A browser with a session and the token that its forms carry."""
    real = real_now()
    cookie = open_session(session, account, real=real)
    session.flush()
    found = find_session(session, cookie, real=real)
    assert found is not None
    return Asker(
        name,
        {"Cookie": f"{cookie_name()}={cookie}", "X-CSRF-Token": found[1]},
        **more,  # pyright: ignore[reportArgumentType]
    )


def by_token(name: str, token: str, *, stranger: bool = False) -> Asker:
    return Asker(name, {"Authorization": f"Bearer {token}"}, stranger=stranger)


def bridge_token(session: Session, clinic: Clinic, *, revoked: bool = False) -> str:
    real = real_now()
    code = new_code(session, clinic.clinic_id, kind="gateway", actor=SYSTEM, real=real)
    session.flush()
    made = pair(session, code, "ward 3", real=real)
    session.flush()
    if revoked:
        revoke(session, made.bridge_id, actor=SYSTEM, real=real)
    return made.token


@pytest.fixture
def world(db: object) -> World:
    with transaction() as session:
        return make_world(session)


def make_world(session: Session) -> World:
    clinic, elsewhere = a_clinic(session), a_clinic(session, name="Elsewhere")
    maker, rival = a_manufacturer(session), a_manufacturer(session, name="Rival")
    a_product(session, maker)
    device = a_device(session, clinic)
    a_bridge(session, clinic)
    caring = a_clinician(session, clinic)
    patient = a_patient(
        session, clinic, team=(caring,), given_name=MARK, family_name=MARK
    )
    rows = fill(session, patient)
    session.add_all(
        [
            DeviceRecord(
                device_id=device.device_id,
                epoch=7,
                sequence=7,
                payload_hash=b"7",
                status="used",
                item={"text": MARK},
                received_at=NOW,
            ),
            DeviceEvent(
                device_id=device.device_id,
                event_id=MARK,
                kind="battery",
                recorded_at=NOW,
            ),
            FeedHead(feed="orders", cursor=1),
            FeedRow(
                feed="orders",
                cursor=1,
                recipient_id=maker.organization_id,
                dedup_key=MARK,
                body={"text": MARK},
                recorded_at=NOW,
            ),
        ]
    )
    ids = {
        name: value
        for row in rows.values()
        for name, value in row.items()
        if name.endswith("_id") and value is not None
    }
    victim = Victim(
        {
            **ids,
            "device_id": device.device_id,
            "clinic_id": clinic.clinic_id,
            "patient_id": patient.patient_id,
        },
        secrets_in(rows) | {str(device.device_id)},
    )
    return World(
        victim,
        [
            *strangers(session, elsewhere, caring),
            *foreigners(session, clinic, elsewhere),
            *makers(session, rival),
            *workers(session, clinic, frozenset({str(device.device_id)})),
        ],
        by_cookie(session, "the caring clinician", an_account(session, caring)),
    )


def strangers(
    session: Session, elsewhere: Clinic, caring: Clinician
) -> Generator[Asker]:
    yield Asker("nobody", stranger=True)
    yield by_token("a guess", "x" * 43, stranger=True)
    old = open_session(
        session,
        an_account(session, caring, login="long ago"),
        real=real_now() - LONGEST - timedelta(minutes=1),
    )
    yield Asker("an old session", {"Cookie": f"{cookie_name()}={old}"}, stranger=True)
    revoked = bridge_token(session, elsewhere, revoked=True)
    yield by_token("a revoked bridge", revoked, stranger=True)


def foreigners(session: Session, clinic: Clinic, elsewhere: Clinic) -> Generator[Asker]:
    away = a_clinician(session, elsewhere)
    a_patient(session, elsewhere, team=(away,))
    yield by_cookie(session, "another clinic's clinician", an_account(session, away))
    colleague = a_clinician(session, clinic)
    yield by_cookie(session, "a colleague off the team", an_account(session, colleague))
    other = a_patient(session, clinic)
    yield by_cookie(session, "another patient", an_account(session, other))
    yield by_token("another clinic's bridge", bridge_token(session, elsewhere))


def makers(session: Session, rival: object) -> Generator[Asker]:
    account = an_account(session, rival)  # pyright: ignore[reportArgumentType]
    yield by_cookie(session, "another manufacturer", account)
    token = issue_access(session, account, "reader", actor=SYSTEM, real=real_now())
    yield by_token("another manufacturer's program", token)


def workers(
    session: Session, clinic: Clinic, devices: frozenset[str]
) -> Generator[Asker]:
    """Those who look after the clinic's devices know these, and no patient."""
    for role in ("technician", "operator"):
        worker = a_clinician(session, clinic, role=role)
        account = an_account(session, worker)
        yield by_cookie(session, f"a {role}", account, may_know=devices)


@pytest.fixture
def client(world: World) -> Generator[httpx.Client]:
    with serving(create_app()) as opened:
        yield opened


def test_no_route_gives_a_foreign_reader_anything(
    world: World, client: httpx.Client
) -> None:
    assert offences(create_app(), client, world.askers, world.victim) == []


def test_who_cared_until_consent_was_withdrawn_gets_nothing_more(
    world: World, client: httpx.Client
) -> None:
    patient_id = world.victim.ids["patient_id"]
    with transaction() as session:
        clinic_id = session.exec(
            select(Patient.clinic_id).where(col(Patient.patient_id) == patient_id)
        ).one()
        withdrawn = withdraw(
            session,
            patient_id,  # pyright: ignore[reportArgumentType]
            "care",
            clinic_id,
            actor=SYSTEM,
            now=NOW,
        )
    assert withdrawn
    assert offences(create_app(), client, [world.caring], world.victim) == []


def test_what_is_sent_would_do_something_if_it_came_from_the_right_bridge(
    world: World, client: httpx.Client
) -> None:
    with transaction() as session:
        clinic = session.get_one(Clinic, world.victim.ids["clinic_id"])
        own = by_token("the clinic's own bridge", bridge_token(session, clinic))
        device_id = str(world.victim.ids["device_id"])
    found = offences(create_app(), client, [own], world.victim)
    assert "POST /v1/dose-events: changed device_record" in found
    assert "POST /v1/device-events: changed device_contact" in found
    assert f"GET /v1/bridges/devices by {own.name}: told {device_id}" in found


def test_every_route_is_asked(db: object) -> None:
    listed = {str(route) for route in routes(create_app())}
    assert listed >= {"GET /healthz", "POST /v1/dose-events", "POST /sign-out"}


def test_a_route_that_forgets_the_reader_is_caught(world: World) -> None:
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/patients")
    def everybody() -> list[str]:  # pyright: ignore[reportUnusedFunction]
        with transaction() as session:
            return list(session.exec(select(Patient.family_name)))

    @app.post("/patients/{patient_id}/forget")
    def forget(patient_id: str) -> None:  # pyright: ignore[reportUnusedFunction]
        with transaction() as session:
            session.exec(
                update(Patient)
                .where(col(Patient.patient_id) == patient_id)
                .values(family_name="")
            )

    @app.get("/things/{thing_id}")
    def unclassified(thing_id: str) -> None:  # pyright: ignore[reportUnusedFunction]
        pass

    with serving(app) as client:
        found = offences(app, client, world.askers[:1], world.victim)
    assert found == [
        "GET /patients by nobody: answered 200",
        f"GET /patients by nobody: told {MARK}",
        "POST /patients/{patient_id}/forget by nobody: answered 200",
        "POST /patients/{patient_id}/forget: changed patient",
        "GET /things/{thing_id}: classify the parameters ['thing_id']",
    ]
