"""Vitals over HTTP: the answer, what is refused whole, the words of OpenAPI."""

from collections.abc import Generator
from datetime import datetime

import orjson
import pytest
from fastapi import FastAPI
from httpx import Client
from sqlalchemy import text

from backend import errors
from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.ingest.vitals_routes import router
from backend.people.bridges import new_code, pair
from tests.backend.ingest.ward import Ward
from tests.builders import NOW
from tests.serving import serving


@pytest.fixture
def ward(db: object) -> Ward:
    with transaction() as session:
        return Ward(session)


@pytest.fixture
def client(ward: Ward) -> Generator[Client]:
    app = FastAPI()
    app.include_router(router)
    errors.install(app)
    with transaction() as session:
        real = datetime.now(tz=NOW.tzinfo)
        code = new_code(
            session, ward.clinic.clinic_id, kind="gateway", actor=SYSTEM, real=real
        )
        token = pair(session, code, "ward 3", real=real).token
    with serving(app) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_the_answer_follows_the_commit(client: Client, ward: Ward) -> None:
    answer = client.post("/v1/vitals", json={"segments": [ward.segment()]})

    assert answer.status_code == 200
    assert answer.json() == {
        "segments": [
            {"verdict": "new", "reason": None, "detail": None, "stored": 3, "known": 0}
        ],
        "samples": {
            "new": 0,
            "known": 0,
            "quarantined": 0,
            "rejected": 0,
            "reasons": [],
        },
    }
    with transaction() as session:
        stored = session.connection().execute(
            text("SELECT sum(cardinality(values)) FROM vital_segment")
        )
        assert stored.scalar_one() == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"segments": [\xff]}', 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"items": []}', 422),
        (b'{"segments": 7}', 422),
        (b'{"segments": [' + b"1," * 1000 + b"1]}", 422),
    ],
    ids=["cut", "not utf-8", "list", "empty", "other", "number", "too many"],
)
def test_only_what_is_no_batch_is_refused_whole(
    client: Client, body: bytes, status: int
) -> None:
    kind = {"Content-Type": "application/json"}
    answer = client.post("/v1/vitals", content=body, headers=kind)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_a_token_nothing_is_read(client: Client) -> None:
    wrong = {"Authorization": "Bearer nonsense"}

    assert client.post("/v1/vitals", json={}, headers=wrong).status_code == 401


def test_the_openapi_document_shows_both_forms(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/v1/vitals"]["post"]["requestBody"]["content"]["application/json"]

    assert set(body["schema"]["properties"]) == {"segments", "samples"}
    assert "8867-4" in orjson.dumps(body).decode()
