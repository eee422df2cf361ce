"""How refusals read over HTTP, and what they never tell."""

from collections.abc import Generator
from datetime import date

import pytest
from fastapi import FastAPI, HTTPException
from httpx import Client
from pydantic import BaseModel, field_validator
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend import errors
from backend.errors import Conflict, TooManyRequests, Unauthenticated
from tests.serving import serving

SECRET = "insulin for Maria, born 1954"


class AlreadyClosed(Conflict):
    """As a slice of the backend would define it."""


class Item(BaseModel):
    n: int
    day: date | None = None
    word: str = ""

    @field_validator("word")
    @classmethod
    def not_secret(cls, word: str) -> str:
        if word:
            raise ValueError(f"{word} is not a word")
        return word


class Items(BaseModel):
    items: list[Item]


@pytest.fixture(scope="module")
def client() -> Generator[Client]:
    app = FastAPI()
    errors.install(app)

    @app.post("/items")
    def items(_items: Items) -> None:
        """Accept what fits the schema."""

    raised: dict[str, Exception] = {
        "closed": AlreadyClosed("It was closed an hour ago.", closed_by="night shift"),
        "busy": TooManyRequests("Slow down.", retry_after=30),
        "stranger": Unauthenticated(),
        "bug": KeyError(SECRET),
        "lost": OperationalError(SECRET, {}, Exception(SECRET)),
        "pool": PoolTimeout(SECRET),
        "teapot": HTTPException(418, SECRET, {"X-Brew": "tea"}),
    }

    @app.get("/raise/{name}")
    def raise_(name: str) -> None:
        raise raised[name]

    with serving(app) as client:
        yield client


def test_a_refusal_names_itself_and_carries_its_facts(client: Client) -> None:
    answer = client.get("/raise/closed")

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:doseloop:problem:already_closed",
        "title": "Already closed",
        "status": 409,
        "detail": "It was closed an hour ago.",
        "closed_by": "night shift",
    }


def test_who_asks_too_often_is_told_when_to_come_back(client: Client) -> None:
    answer = client.get("/raise/busy")

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"


def test_who_is_not_signed_in_is_told_how_to(client: Client) -> None:
    answer = client.get("/raise/stranger")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("name", "status"), [("bug", 500), ("lost", 503), ("pool", 503), ("teapot", 418)]
)
def test_what_was_not_refused_on_purpose_tells_nothing_of_the_inside(
    client: Client, name: str, status: int
) -> None:
    answer = client.get(f"/raise/{name}")

    assert answer.status_code == answer.json()["status"] == status
    assert "Maria" not in answer.text + str(answer.headers)


def test_an_unknown_path_and_method_are_problems_too(client: Client) -> None:
    missing, wrong = client.get("/nothing"), client.get("/items")

    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["type"] == "urn:doseloop:problem:not_found"
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize("item", [{"n": SECRET}, {"n": 1, "day": SECRET}, {SECRET: 1}])
def test_a_breach_is_told_by_place_and_rule_not_by_value(
    client: Client, item: dict[str, object]
) -> None:
    answer = client.post("/items", json={"items": [{"n": 1}, item]})

    assert answer.status_code == 422
    (breach,) = answer.json()["breaches"]
    assert breach["at"].startswith("body.items.1.")
    assert "Maria" not in answer.text


def test_a_rule_of_ours_does_not_echo_what_broke_it(client: Client) -> None:
    answer = client.post("/items", json={"items": [{"n": 1, "word": SECRET}]})

    assert answer.status_code == 422
    assert "Maria" not in answer.text


def test_a_thousand_breaches_are_counted_and_twenty_told(client: Client) -> None:
    answer = client.post("/items", json={"items": [{"n": "x" * 1000}] * 1000})

    assert answer.json()["breach_count"] == 1000
    assert len(answer.json()["breaches"]) == 20
    assert len(answer.content) < 5000


def test_a_body_that_is_no_json_is_a_400(client: Client) -> None:
    answer = client.post(
        "/items",
        content=b'{"items": [' + SECRET.encode(),
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:doseloop:problem:malformed"
    assert "Maria" not in answer.text


def test_facts_cannot_pose_as_the_members_every_problem_has() -> None:
    made = errors.problem(Conflict("no", status=200, type="about:blank"))

    assert made.document["status"] == 409
    assert made.document["type"] == "urn:doseloop:problem:conflict"
