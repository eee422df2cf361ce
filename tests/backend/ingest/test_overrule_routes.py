"""Clinicians say over HTTP what dose records were, read it, and take it back."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import Session

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import domain_now
from backend.database import transaction
from backend.database.sets import fetch
from backend.people.consent import withdraw as withdraw_consent
from tests.backend.ingest.world import World, a_world, opening, send
from tests.backend.programs import acts_for, refused
from tests.builders import a_clinician
from tests.serving import serving

HOUR = timedelta(hours=1)


@pytest.fixture
def world(db: object) -> World:
    """A patient whose box was opened twice."""
    with transaction() as session:
        world = a_world(session)
        now = domain_now()
        items = [opening(world, n, now - (3 - n) * HOUR) for n in (1, 2)]
        send(session, world, items, now=now)
    return world


@pytest.fixture
def http(world: World) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        acts_for(client, world.clinician)
        yield client


def rows(statement: str) -> list[dict[str, Any]]:
    with transaction() as session:
        return [dict(row) for row in fetch(session, statement)]


def events() -> list[UUID]:
    found = rows("SELECT dose_event_id FROM dose_event ORDER BY occurred_at")
    return [row["dose_event_id"] for row in found]


def say(http: httpx.Client, world: World, event: UUID, label: str) -> httpx.Response:
    at = f"/v1/patients/{world.patient_id}/dose-events/{event}/overrides"
    return http.post(at, json={"label": label, "reason": "she told me"})


def take_back(http: httpx.Client, world: World, override: str) -> httpx.Response:
    at = f"/v1/patients/{world.patient_id}/overrides/{override}/withdrawal"
    return http.post(at, json={"reason": "I was wrong"})


def listed(http: httpx.Client, world: World, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = http.get(f"/v1/patients/{world.patient_id}/overrides", params=more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_was_said_is_listed_with_who_and_why_until_it_is_taken_back(
    http: httpx.Client, world: World
) -> None:
    event, _ = events()
    assert listed(http, world) == {"overrides": [], "next": None}

    said = say(http, world, event, "refill")

    assert said.status_code == 201
    [one] = listed(http, world)["overrides"]
    assert one["override_id"] == said.json()["override_id"]
    assert (one["label"], one["reason"]) == ("refill", "she told me")
    assert one["clinician"] == world.clinician.name
    assert (one["event_label"], one["in_force"]) == ("refill", True)

    back = take_back(http, world, one["override_id"])

    assert (back.status_code, back.json()["label"]) == (201, None)
    newest, first = listed(http, world)["overrides"]
    assert (newest["label"], newest["reason"]) == (None, "I was wrong")
    assert first["label"] == "refill"
    assert not newest["in_force"]
    assert not first["in_force"]
    assert first["event_label"] != "refill"
    acted = rows(
        "SELECT action FROM audit_row WHERE action LIKE '%over%' ORDER BY recorded_at"
    )
    assert [row["action"] for row in acted] == [
        "overrides_seen",
        "dose_event_overruled",
        "overrides_seen",
        "dose_event_overrule_undone",
        "overrides_seen",
    ]


def test_the_list_comes_in_pages_and_of_one_record(
    http: httpx.Client, world: World
) -> None:
    first, second = events()
    for event, label in (first, "refill"), (first, "prime"), (second, "curiosity"):
        assert say(http, world, event, label).status_code == 201

    seen: list[str] = []
    page = listed(http, world, limit=2)
    seen += [one["label"] for one in page["overrides"]]
    page = listed(http, world, limit=2, after=page["next"])
    seen += [one["label"] for one in page["overrides"]]

    assert seen == ["curiosity", "prime", "refill"]
    assert page["next"] is None
    of_one = listed(http, world, dose_event_id=first)["overrides"]
    assert [(one["label"], one["in_force"]) for one in of_one] == [
        ("prime", True),
        ("refill", False),
    ]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"after": str(uuid4())}, (422, "bad_cursor")),
        ({"after": "last"}, (422, "unprocessable")),
        ({"before": "2026-03-04"}, (422, "unprocessable")),
        ({"limit": "0"}, (422, "unprocessable")),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(
    http: httpx.Client,
    world: World,
    asked: dict[str, str],
    status: tuple[int, str],
) -> None:
    answer = http.get(f"/v1/patients/{world.patient_id}/overrides", params=asked)

    assert refused(answer) == status


def test_what_would_change_nothing_or_nobody_may_say_is_refused_as_a_problem(
    http: httpx.Client, world: World
) -> None:
    event, _ = events()
    assert refused(say(http, world, event, "extra")) == (422, "unprocessable")
    older = say(http, world, event, "refill").json()["override_id"]
    assert refused(say(http, world, event, "refill")) == (409, "nothing_to_change")
    newer = say(http, world, event, "prime").json()["override_id"]
    assert refused(take_back(http, world, older)) == (409, "nothing_to_change")
    undone = take_back(http, world, newer).json()["override_id"]
    assert refused(take_back(http, world, newer)) == (409, "nothing_to_change")
    assert refused(take_back(http, world, undone)) == (409, "nothing_to_change")
    assert refused(say(http, world, uuid4(), "prime")) == (404, "not_found")
    assert refused(take_back(http, world, str(uuid4()))) == (404, "not_found")
    at = f"/v1/patients/{world.patient_id}/dose-events/{event}/overrides"
    blank = http.post(at, json={"label": "prime", "reason": "  "})
    assert refused(blank) == (422, "unprocessable")
    assert len(rows("SELECT FROM event_override")) == 3


def test_a_record_is_found_by_its_own_patient_only(
    http: httpx.Client, world: World
) -> None:
    event, _ = events()
    at = f"/v1/patients/{uuid4()}/dose-events/{event}/overrides"
    answer = http.post(at, json={"label": "prime", "reason": "x"})
    assert refused(answer) == (404, "not_found")


def test_patients_read_what_was_said_of_their_records_and_say_nothing(
    http: httpx.Client, world: World
) -> None:
    event, _ = events()
    said = say(http, world, event, "refill").json()["override_id"]
    acts_for(http, world.patient)

    assert len(listed(http, world)["overrides"]) == 1
    assert refused(say(http, world, event, "prime")) == (403, "forbidden")
    assert refused(take_back(http, world, said)) == (403, "forbidden")


def test_without_care_or_consent_there_is_no_such_patient(
    http: httpx.Client, world: World
) -> None:
    event, _ = events()
    said = say(http, world, event, "refill").json()["override_id"]

    def all_refused() -> None:
        at = f"/v1/patients/{world.patient_id}/overrides"
        assert refused(http.get(at)) == (404, "not_found")
        assert refused(say(http, world, event, "prime")) == (404, "not_found")
        assert refused(take_back(http, world, said)) == (404, "not_found")

    ours = http.headers["Authorization"]
    with transaction() as session:
        colleague = a_clinician(session, world.clinic)
    acts_for(http, colleague)
    all_refused()

    http.headers["Authorization"] = ours
    with transaction() as session:
        assert revoked(session, world)
    all_refused()
    assert len(rows("SELECT FROM event_override")) == 1


def revoked(session: Session, world: World) -> bool:
    return withdraw_consent(
        session,
        world.patient_id,
        "care",
        world.clinic.clinic_id,
        actor=SYSTEM,
        now=domain_now(),
    )
