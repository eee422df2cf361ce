"""Programs list a patient's dose events, each with what it counts as and why."""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import Session

from analytics.confidence import confidences
from analytics.matching import match
from analytics.records import Dose, Evidence, Scheduled
from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.database.sets import fetch
from backend.ingest.correct import void_dose
from backend.ingest.overrule import overrule
from backend.ingest.self_report import told_taken
from backend.people.consent import withdraw
from backend.people.hold import hold
from backend.people.readers import Reader
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    another,
    doses_at_eight,
    eight,
    opening,
    send,
)
from tests.backend.programs import acts_for, refused
from tests.builders import a_clinician
from tests.serving import serving

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TUESDAY = eight() + DAY


@pytest.fixture
def world(db: object) -> World:
    """Two doses at eight: one taken twice within minutes, one said to be taken."""
    with transaction() as session:
        world = a_world(session)
        doses_at_eight(session, world, days=2)
        items = [
            opening(world, 1, eight(), uncertainty_s=2.5),
            opening(world, 2, eight() + 5 * MINUTE),
            opening(world, 3, eight() + 7 * HOUR),
        ]
        send(session, world, items, now=eight() + 8 * HOUR)
        hold(session, [world.patient_id])
        regimen, now = world.regimen.regimen_id, TUESDAY + HOUR
        told_taken(session, world.patient_id, regimen, at=TUESDAY, key=uuid4(), now=now)
    return world


@pytest.fixture
def http(world: World) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        acts_for(client, world.clinician)
        yield client


def at(world: World) -> str:
    return f"/v1/patients/{world.patient_id}/dose-events"


def page(http: httpx.Client, world: World, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = http.get(at(world), params=more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(http: httpx.Client, world: World, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return page(http, world, **more)["dose_events"]


def the_clinician(world: World) -> Reader:
    who = world.clinician.clinician_id
    return Reader(uuid4(), "clinician", who, world.clinic.clinic_id)


def instant(written: str) -> datetime:
    return datetime.fromisoformat(written)


def test_each_event_says_what_it_is_and_the_dose_it_counts_for(
    http: httpx.Client, world: World
) -> None:
    said, stray, again, first = events(http, world)

    assert [one["label"] for one in (first, again, stray, said)] == [
        "therapeutic",
        "duplicate",
        "unmatched",
        "therapeutic",
    ]
    assert first["drug"] == world.regimen.drug
    assert instant(first["occurred_at"]) == eight()
    assert first["uncertainty_s"] == 2.5
    assert instant(first["recorded_at"]) == eight() + 8 * HOUR
    assert (first["said"], first["amount"], first["live"]) == (None, None, False)
    device = first["device"]
    assert UUID(device.pop("device_id")) == world.device_id
    assert (device["epoch"], device["sequence"], device["compartment"]) == (1, 1, 0)
    scheduled = first["scheduled"]
    assert instant(scheduled.pop("due_at")) == eight()
    assert instant(scheduled.pop("window_from")) == eight() - 4 * HOUR
    assert instant(scheduled.pop("window_until")) == eight() + 4 * HOUR
    assert scheduled == {
        "occurrence": f"{MONDAY}T08:00",
        "dose_day": f"{MONDAY}",
        "label": "on_time",
    }
    assert first["source"]["kind"] == "gateway"
    assert UUID(first["source"]["bridge_id"]) == world.sender.bridge_id
    assert instant(first["source"]["received_at"]) == eight() + 8 * HOUR
    assert again["scheduled"] is stray["scheduled"] is None
    assert (first["override"], first["void"]) == (None, None)
    assert (said["evidence"], said["device"]) == ("self_reported", None)
    assert said["source"] == {"kind": "patient", "bridge_id": None, "received_at": None}


def test_the_id_on_the_list_is_the_one_that_an_override_takes(
    http: httpx.Client, world: World
) -> None:
    one = events(http, world)[-1]
    word = {"label": "curiosity", "reason": "she told me"}

    made = http.post(f"{at(world)}/{one['dose_event_id']}/overrides", json=word)

    assert made.status_code == 201, made.text
    after = events(http, world)[-1]
    assert (after["label"], after["confidence"]) == ("curiosity", 1.0)
    assert after["scheduled"] is None
    override = after["override"]
    assert override["override_id"] == made.json()["override_id"]
    assert (override["label"], override["reason"]) == ("curiosity", "she told me")
    assert override["clinician"] == world.clinician.name

    back = f"/v1/patients/{world.patient_id}/overrides/{override['override_id']}"
    assert http.post(f"{back}/withdrawal", json={"reason": "no"}).status_code == 201
    again = events(http, world)[-1]
    assert (again["override"], again["label"]) == (None, one["label"])


def test_what_is_void_stays_on_the_list_with_who_and_why(
    http: httpx.Client, world: World
) -> None:
    gone = events(http, world)[-1]["dose_event_id"]
    with transaction() as session:
        now = eight() + 9 * HOUR
        who = the_clinician(world)
        void_dose(session, who, UUID(gone), reason="not her box", now=now)

    void = events(http, world)[-1]

    assert void["dose_event_id"] == gone
    assert void["void"]["reason"] == "not her box"
    assert UUID(void["void"]["by"]) == world.clinician.clinician_id
    assert instant(void["void"]["at"]) == now
    assert (void["confidence"], void["scheduled"]) == (None, None)
    assert events(http, world)[-2]["label"] == "therapeutic"


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 200])
def test_pages_hold_each_event_once_and_in_order(
    http: httpx.Client, world: World, limit: int
) -> None:
    whole = [one["dose_event_id"] for one in events(http, world)]
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        got = page(http, world, limit=limit, **after)
        assert len(got["dose_events"]) <= limit
        seen += [one["dose_event_id"] for one in got["dose_events"]]
        if got["next"] is None:
            break
        after = {"after": got["next"]}
    assert seen == whole
    assert len(whole) == 4


def test_from_is_included_and_until_is_not(http: httpx.Client, world: World) -> None:
    def found(**span: datetime) -> int:
        return len(events(http, world, **{k: v.isoformat() for k, v in span.items()}))

    assert found(until=eight()) == 0
    assert found(until=eight() + MINUTE) == 1
    assert found(**{"from": TUESDAY}) == 1
    assert found(**{"from": eight(), "until": TUESDAY}) == 3
    assert found(**{"from": TUESDAY + DAY}) == 0
    ever = {"from": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:00:00-14:00"}
    assert len(events(http, world, **ever)) == 4


def test_what_cannot_be_asked_is_refused_with_the_place_and_the_reason(
    http: httpx.Client, world: World
) -> None:
    def asked(**query: str) -> httpx.Response:
        return http.get(at(world), params=query)

    for query, place in (
        ({"form": "2026-03-02T00:00:00Z"}, "query.form"),
        ({"from": "2026-03-02T00:00:00"}, "query.from"),
        ({"until": "soon"}, "query.until"),
        ({"after": "1"}, "query.after"),
        ({"limit": "0"}, "query.limit"),
        ({"limit": "201"}, "query.limit"),
    ):
        answer = asked(**query)
        assert refused(answer) == (422, "unprocessable"), query
        assert [breach["at"] for breach in answer.json()["breaches"]] == [place]
    backwards = asked(**{"from": "2026-03-03T00:00:00Z", "until": "2026-03-02T00:00Z"})
    assert refused(backwards) == (422, "unprocessable")
    assert backwards.json()["detail"] == "`from` must lie before `until`."
    assert refused(asked(after=str(uuid4()))) == (422, "bad_cursor")


def test_another_patients_event_is_no_cursor(http: httpx.Client, world: World) -> None:
    with transaction() as session:
        other = another(session, world)
        now = eight() + 8 * HOUR
        send(session, other, [opening(other, 1, eight())], now=now)
    [theirs] = events(http, other)
    answer = http.get(at(world), params={"after": theirs["dose_event_id"]})
    assert refused(answer) == (422, "bad_cursor")


def test_a_patient_reads_their_own_and_each_access_is_one_audit_row(
    http: httpx.Client, world: World
) -> None:
    acts_for(http, world.patient)

    page(http, world, limit=2)
    page(http, world)

    with transaction() as session:
        rows = fetch(
            session,
            """SELECT actor_kind, patients FROM audit_row
            WHERE action = 'dose_events_seen'""",
        )
    assert [(row["actor_kind"], row["patients"]) for row in rows] == [
        ("patient", [world.patient_id])
    ] * 2


def test_without_care_or_consent_there_is_no_such_patient(
    http: httpx.Client, world: World
) -> None:
    ours = http.headers["Authorization"]
    with transaction() as session:
        colleague = a_clinician(session, world.clinic)
    acts_for(http, colleague)
    assert refused(http.get(at(world))) == (404, "not_found")
    acts_for(http, world.manufacturer)
    assert refused(http.get(at(world))) == (403, "forbidden")
    http.headers["Authorization"] = ours
    nobody = f"/v1/patients/{uuid4()}/dose-events"
    assert refused(http.get(nobody)) == (404, "not_found")
    with transaction() as session:
        clinic = world.clinic.clinic_id
        withdraw(
            session, world.patient_id, "care", clinic, actor=SYSTEM, now=TUESDAY + DAY
        )
    assert refused(http.get(at(world))) == (404, "not_found")
    with transaction() as session:
        seen = fetch(session, "SELECT FROM audit_row WHERE action = 'dose_events_seen'")
    assert not seen


def all_that_was_stored(
    session: Session,
) -> tuple[list[Dose[UUID]], list[Scheduled[str]]]:
    said = """(SELECT o.label FROM event_override o
        WHERE o.dose_event_id = e.dose_event_id ORDER BY recorded_at DESC LIMIT 1)"""
    return [
        Dose(
            row["dose_event_id"],
            row["occurred_at"],
            Evidence(row["evidence"]),
            label=row["ruled"] or row["said"],
        )
        for row in fetch(session, f"SELECT e.*, {said} AS ruled FROM dose_event e")
    ], [
        Scheduled(
            row["occurrence"], row["due_at"], row["window_from"], row["window_until"]
        )
        for row in fetch(session, "SELECT * FROM scheduled_dose")
    ]


def test_confidence_is_that_of_the_whole_history_on_every_page(
    http: httpx.Client, world: World
) -> None:
    """Windows that overlap for days: what competes lies far outside a page."""
    with transaction() as session:
        first = MONDAY + 4 * DAY
        doses_at_eight(session, world, first=first, days=12)
        fetch(
            session,
            """UPDATE scheduled_dose SET window_from = due_at - interval '36 hours',
                window_until = due_at + interval '36 hours', due_at = NULL
            WHERE dose_day >= :first RETURNING 1""",
            first=first,
        )
        items = [
            opening(world, 10 + n, eight(first) + n * DAY + (7 * n % 11 - 5) * HOUR)
            for n in range(11)
        ]
        send(session, world, items, now=eight(first) + 12 * DAY)
        event = fetch(
            session,
            "SELECT dose_event_id FROM dose_event ORDER BY occurred_at DESC LIMIT 1",
        )[0]["dose_event_id"]
        overrule(
            session,
            the_clinician(world),
            world.patient_id,
            event,
            label="refill",
            reason="she told me",
            now=eight(first) + 13 * DAY,
        )
        stored = all_that_was_stored(session)
    matching = match(*stored)
    expected = confidences(*stored, matching)

    seen: dict[UUID, float] = {}
    after: dict[str, str] = {}
    while True:
        got = page(http, world, limit=4, **after)
        for one in got["dose_events"]:
            event = UUID(one["dose_event_id"])
            seen[event] = one["confidence"]
            assert one["label"] == matching.events[event]
        if got["next"] is None:
            break
        after = {"after": got["next"]}

    assert seen == pytest.approx(dict(expected), rel=1e-9)
    assert len({round(share, 6) for share in seen.values()}) > 5
