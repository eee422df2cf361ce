"""What a person's program sends again under its key is done once and answered alike."""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import text

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import domain_now, real_now
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.people.consent import withdraw
from backend.people.once import KEPT, this_call
from backend.people.readers import SAFE, session_of, signed_in
from backend.people.sweep import sweep
from tests.backend.foreign import differing, snapshot
from tests.backend.ingest.world import World, a_world, opening, send
from tests.backend.programs import acts_for, refused
from tests.builders import a_clinician
from tests.serving import serving

# Harmless to repeat without a header: what each is known by.
NOT_OF_PEOPLE = {
    "POST /v1/dose-events": "device, epoch, sequence",
    "POST /v1/device-events": "device, epoch, sequence, or the event's id",
    "POST /v1/vitals": "the segment's id",
    "POST /v1/device-epochs": "device, last record, reason",
    "POST /v1/bridges/pair": "a code that works once",
    "POST /v1/bridges/rotate": "the bridge, whose older tokens work ten more minutes",
    "POST /v1/twilio/messages": "the provider's id of the message",
    "POST /v1/twilio/keys": "the provider's id of the call, and the digits",
    "POST /v1/twilio/status": "the provider's id and status",
    "POST /v1/unsubscribe": "the message of a signed link",
}
SUBSCRIPTION = {
    "endpoint": "https://fcm.googleapis.com/fcm/send/abc",
    "keys": {"p256dh": "p" * 87, "auth": "a" * 22},
}


@dataclass(frozen=True)
class Example:
    """A call that does something: by whom, where, with what."""

    by: Any
    method: str
    path: str
    body: Mapping[str, object]


@pytest.fixture
def world(db: object) -> World:
    with transaction() as session:
        world = a_world(session)
        now = domain_now()
        send(session, world, [opening(world, 1, now - timedelta(hours=1))], now=now)
    return world


@pytest.fixture
def http(world: World) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        acts_for(client, world.clinician)
        yield client


def rows(statement: str) -> list[dict[str, Any]]:
    with transaction() as session:
        return [dict(row) for row in fetch(session, statement)]


def words() -> list[str | None]:
    said = rows("SELECT label FROM event_override ORDER BY recorded_at")
    return [row["label"] for row in said]


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key}"'}


def say_at(world: World) -> str:
    [event] = rows("SELECT dose_event_id FROM dose_event")
    event_id = event["dose_event_id"]
    return f"/v1/patients/{world.patient_id}/dose-events/{event_id}/overrides"


def say(
    http: httpx.Client, world: World, label: str, key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else keyed(key)
    word = {"label": label, "reason": "she told me"}
    return http.post(say_at(world), json=word, headers=headers)


# Every route


def saying(http: httpx.Client, world: World) -> Example:
    word = {"label": "refill", "reason": "she told me"}
    return Example(world.clinician, "POST", say_at(world), word)


def taking_back(http: httpx.Client, world: World) -> Example:
    made = say(http, world, "refill").json()["override_id"]
    at = f"/v1/patients/{world.patient_id}/overrides/{made}/withdrawal"
    return Example(world.clinician, "POST", at, {"reason": "I was wrong"})


def subscribing(http: httpx.Client, world: World) -> Example:
    return Example(world.patient, "POST", "/v1/push-subscriptions", SUBSCRIPTION)


def unsubscribing(http: httpx.Client, world: World) -> Example:
    acts_for(http, world.patient)
    http.post("/v1/push-subscriptions", json=SUBSCRIPTION)
    return Example(world.patient, "DELETE", "/v1/push-subscriptions", SUBSCRIPTION)


EXAMPLES: dict[str, Callable[[httpx.Client, World], Example]] = {
    "POST /v1/patients/{patient_id}/dose-events/{dose_event_id}/overrides": saying,
    "POST /v1/patients/{patient_id}/overrides/{override_id}/withdrawal": taking_back,
    "POST /v1/push-subscriptions": subscribing,
    "DELETE /v1/push-subscriptions": unsubscribing,
}


def unsafe() -> Iterator[tuple[str, APIRoute]]:
    """Yield every unsafe route of the API that there is."""
    for context in iter_route_contexts(create_app().routes):
        route = context.original_route
        if isinstance(route, APIRoute) and (context.path or "").startswith("/v1/"):
            for method in sorted((context.methods or set()) - SAFE):
                yield f"{method} {context.path}", route


def needs(dependant: Dependant) -> set[object]:
    """Return everything that a route depends on, directly or not."""
    found: set[object] = {dependant.call}
    return found.union(*(needs(each) for each in dependant.dependencies))


def test_every_unsafe_route_of_people_takes_a_key_and_has_an_example() -> None:
    routes = dict(unsafe())
    wanted = {name: needs(route.dependant) for name, route in routes.items()}
    of_people = {name for name, its in wanted.items() if its & {signed_in, session_of}}
    assert of_people == set(EXAMPLES)
    assert {name for name in of_people if this_call not in wanted[name]} == set()
    assert set(routes) - of_people == set(NOT_OF_PEOPLE)


@pytest.mark.parametrize("route", EXAMPLES)
def test_a_call_that_is_sent_again_is_done_once_and_answered_alike(
    http: httpx.Client, world: World, route: str
) -> None:
    one = EXAMPLES[route](http, world)
    acts_for(http, one.by)

    def call() -> httpx.Response:
        headers = keyed("8e03978e-40d5-43dd-bc93-6894a57f9324")
        return http.request(one.method, one.path, json=one.body, headers=headers)

    before = snapshot()
    first = call()
    after = snapshot()
    again = call()

    assert first.is_success, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert set(differing(before, after)) > {"idempotency_key"}
    assert differing(after, snapshot()) == []
    [audited] = rows("SELECT patients FROM audit_row WHERE action = 'answer_repeated'")
    assert audited["patients"] == [world.patient_id]


# What a key is worth

DEADLINE = 10.0
RUNNING = """
SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND datname = current_database()
"""


def test_a_word_sent_again_does_not_bring_back_what_was_said_meanwhile(
    http: httpx.Client, world: World
) -> None:
    first = say(http, world, "refill", key="mine")
    say(http, world, "curiosity")

    again = say(http, world, "refill", key="mine")

    assert (again.status_code, again.json()) == (201, first.json())
    assert words() == ["refill", "curiosity"]


def test_a_key_stands_for_one_request(http: httpx.Client, world: World) -> None:
    assert say(http, world, "refill", key="mine").status_code == 201

    assert refused(say(http, world, "prime", key="mine")) == (422, "key_reused")
    [override] = rows("SELECT override_id FROM event_override")
    elsewhere = http.post(
        f"/v1/patients/{world.patient_id}/overrides/{override['override_id']}/withdrawal",
        json={"reason": "she told me"},
        headers=keyed("mine"),
    )
    assert refused(elsewhere) == (422, "key_reused")
    assert words() == ["refill"]
    assert say(http, world, "prime", key="another").status_code == 201


def test_a_key_is_one_accounts_and_means_the_same_with_and_without_quotes(
    http: httpx.Client, world: World
) -> None:
    word = {"label": "refill", "reason": "she told me"}
    bare = {"Idempotency-Key": "mine"}
    first = http.post(say_at(world), json=word, headers=bare)
    assert say(http, world, "refill", key="mine").json() == first.json()

    acts_for(http, world.clinician)  # another account of the same person

    assert refused(say(http, world, "refill", key="mine")) == (409, "nothing_to_change")
    assert say(http, world, "prime", key="mine").status_code == 201


def test_a_call_that_was_refused_leaves_its_key_free(
    http: httpx.Client, world: World
) -> None:
    say(http, world, "refill")
    assert refused(say(http, world, "refill", key="k")) == (409, "nothing_to_change")
    assert rows("SELECT FROM idempotency_key") == []
    say(http, world, "prime")

    assert say(http, world, "refill", key="k").status_code == 201
    assert words() == ["refill", "prime", "refill"]


def test_without_a_key_nothing_is_kept(http: httpx.Client, world: World) -> None:
    assert say(http, world, "refill").status_code == 201
    assert refused(say(http, world, "refill")) == (409, "nothing_to_change")
    assert rows("SELECT FROM idempotency_key") == []


@pytest.mark.parametrize(
    "given",
    ["", '""', '"a', 'a"b', '"a";b', "a,b", "x" * 201, '"a\\"b"'],
    ids=["empty", "none", "open", "inside", "parameter", "two", "long", "escape"],
)
def test_a_key_that_is_no_string_is_refused(
    http: httpx.Client, world: World, given: str
) -> None:
    word = {"label": "refill", "reason": "she told me"}
    answer = http.post(say_at(world), json=word, headers={"Idempotency-Key": given})
    assert refused(answer) == (400, "bad_idempotency_key")
    assert words() == []


def test_two_keys_in_one_call_are_refused(http: httpx.Client, world: World) -> None:
    word = {"label": "refill", "reason": "she told me"}
    token = http.headers["Authorization"]
    two = [
        ("Authorization", token),
        ("Idempotency-Key", "a"),
        ("Idempotency-Key", "b"),
    ]
    answer = http.post(say_at(world), json=word, headers=two)
    assert refused(answer) == (400, "bad_idempotency_key")


def test_a_call_whose_first_still_runs_is_told_to_ask_again(
    http: httpx.Client, world: World
) -> None:
    """The first waits for the patient, whom somebody else holds."""
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            execute(session, "SELECT FROM patient FOR UPDATE")
            first = pool.submit(say, http, world, "refill", "mine")
            until = monotonic() + DEADLINE
            while not rows(RUNNING):
                assert monotonic() < until
            second = say(http, world, "refill", key="mine")
        assert refused(second) == (409, "still_running")
        assert second.headers["Retry-After"] == "1"
        done = first.result()
    assert done.status_code == 201
    assert say(http, world, "refill", key="mine").json() == done.json()
    assert words() == ["refill"]


def test_of_many_at_once_one_is_done(http: httpx.Client, world: World) -> None:
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(say, http, world, "refill", "mine") for _ in range(12)]
        answers = [call.result() for call in calls]
    done = [one.json() for one in answers if one.status_code == 201]
    assert {one.status_code for one in answers} <= {201, 409}
    assert done
    assert all(one == done[0] for one in done)
    assert words() == ["refill"]


def test_an_answer_is_kept_for_a_day(http: httpx.Client, world: World) -> None:
    first = say(http, world, "refill", key="mine").json()
    say(http, world, "prime")

    older(KEPT - timedelta(minutes=1))
    assert say(http, world, "refill", key="mine").json() == first
    assert sweep(real_now()) == 0
    older(timedelta(minutes=1))
    anew = say(http, world, "refill", key="mine")

    assert anew.status_code == 201
    assert anew.json() != first
    assert sweep(real_now()) == 0
    older(KEPT)
    assert sweep(real_now()) == 1


def older(by: timedelta) -> None:
    with transaction() as session:
        session.connection().execute(
            text("UPDATE idempotency_key SET recorded_at = recorded_at - :by"),
            {"by": by},
        )


def test_an_answer_is_not_repeated_to_who_may_no_longer_see_the_patient(
    http: httpx.Client, world: World
) -> None:
    say(http, world, "refill", key="mine")
    with transaction() as session:
        clinic = world.clinic.clinic_id
        withdraw(
            session, world.patient_id, "care", clinic, actor=SYSTEM, now=domain_now()
        )
    assert refused(say(http, world, "refill", key="mine")) == (404, "not_found")
    assert refused(say(http, world, "prime", key="mine")) == (422, "key_reused")


def test_who_may_not_act_leaves_no_key(http: httpx.Client, world: World) -> None:
    with transaction() as session:
        colleague = a_clinician(session, world.clinic)
    acts_for(http, colleague)
    assert refused(say(http, world, "refill", key="mine")) == (404, "not_found")
    assert rows("SELECT FROM idempotency_key") == []
