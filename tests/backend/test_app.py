"""The limits and manners of the web application, over real sockets."""

import json
import logging
import socket
import threading
import time
from collections.abc import Generator
from datetime import timedelta
from io import StringIO

import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from sqlalchemy import text
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.app import create_app
from backend.app.limits import Limits, Patience
from backend.app.log import AccessLog
from backend.app.serve import PromptProtocol, bound, server
from backend.database import owner_engine
from backend.log import JsonLines
from backend.migrations import newest
from backend.settings import settings
from tests.serving import serving

LIMIT = 1000
DEADLINE = 10.0


@pytest.fixture
def web(db: object) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    body = await Request(scope, receive).body()
    await Response(str(len(body)))(scope, receive, send)


@pytest.fixture(scope="module")
def limited() -> Generator[httpx.Client]:
    patience = Patience(whole=timedelta(seconds=1.5), pause=timedelta(milliseconds=700))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await limits(scope, receive, send)

    limits = Limits(
        echo, most=LIMIT, patience=patience, form_paths=frozenset({"/v1/callback"})
    )
    with serving(Starting(app)) as client:
        yield client


class Starting:
    """Answers the server's start and stop, for an application that does not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})


JSON = {"Content-Type": "application/json"}


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].rpartition(":")[2]


def test_a_body_of_the_limit_passes_and_one_octet_more_does_not(
    limited: httpx.Client,
) -> None:
    assert limited.post("/v1/x", content=b"x" * LIMIT, headers=JSON).text == str(LIMIT)
    refused = limited.post("/v1/x", content=b"x" * (LIMIT + 1), headers=JSON)
    assert (refused.status_code, code(refused)) == (413, "too_large")
    assert refused.json()["limit"] == LIMIT


def test_a_body_that_declares_no_length_is_counted(limited: httpx.Client) -> None:
    def parts(size: int) -> Generator[bytes]:
        for _ in range(size // 100):
            yield b"x" * 100

    assert limited.post("/v1/x", content=parts(LIMIT), headers=JSON).text == str(LIMIT)
    refused = limited.post("/v1/x", content=parts(LIMIT + 100), headers=JSON)
    assert refused.status_code == 413


def test_a_body_that_dribbles_in_is_cut_off(limited: httpx.Client) -> None:
    head = b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for pieces, pause in ((3, 2.0), (30, 0.2)):
        with socket.create_connection(
            (limited.base_url.host, limited.base_url.port or 0), timeout=DEADLINE
        ) as raw:
            raw.sendall(head + b"Content-Length: 900\r\n\r\n")
            stop = threading.Event()

            def dribble(
                raw: socket.socket = raw,
                stop: threading.Event = stop,
                pieces: int = pieces,
                pause: float = pause,
            ) -> None:
                for _ in range(pieces):
                    if stop.wait(pause):
                        return
                    try:
                        raw.sendall(b"x")
                    except OSError:
                        return

            sender = threading.Thread(target=dribble)
            sender.start()
            answer = raw.recv(4096)
            stop.set()
            sender.join(DEADLINE)
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/v1/x", "application/json", 200),
        ("/v1/x", "application/json; charset=utf-8", 200),
        ("/v1/x", "application/fhir+json", 200),
        ("/v1/x", "text/plain", 415),
        ("/v1/x", "application/x-www-form-urlencoded", 415),
        ("/v1/x", "", 415),
        ("/v1/callback", "application/x-www-form-urlencoded", 200),
        ("/sign-in", "application/x-www-form-urlencoded", 200),
        ("/sign-in", "text/plain", 415),
    ],
)
def test_a_body_has_the_type_its_route_reads(
    limited: httpx.Client, path: str, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert limited.post(path, content=b"{}", headers=headers).status_code == status


def test_a_call_without_a_body_needs_no_type(limited: httpx.Client) -> None:
    assert limited.post("/v1/x").text == "0"


def test_a_compressed_body_is_refused_before_it_can_unfold(
    limited: httpx.Client,
) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert limited.post("/v1/x", content=b"x", headers=headers).status_code == 415


def test_every_answer_has_security_headers_and_an_id(web: httpx.Client) -> None:
    for path in ("/healthz", "/nowhere", "/v1/bridges/rotate"):
        answer = web.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 32


def test_a_callers_own_request_id_is_kept_when_it_is_one(web: httpx.Client) -> None:
    def told(given: str) -> str:
        return web.get("/healthz", headers={"X-Request-Id": given}).headers[
            "x-request-id"
        ]

    assert told("trace-12345678") == "trace-12345678"
    assert told("a b<script>") != "a b<script>"


def test_what_is_refused_before_any_route_reads_as_a_problem(web: httpx.Client) -> None:
    assert code(web.get("/nowhere")) == "not_found"
    assert code(web.delete("/healthz")) == "method_not_allowed"
    sent = web.post(
        "/v1/bridges/pair", content=b"x" * (settings().body_limit + 1), headers=JSON
    )
    assert code(sent) == "too_large"
    assert code(web.post("/v1/bridges/pair", content=b"{", headers=JSON)) == "malformed"


def test_ready_means_the_database_answers_with_the_right_schema(
    web: httpx.Client,
) -> None:
    assert web.get("/readyz").json() == {"state": "ready"}
    renamed = text("UPDATE alembic_version SET version_num = :name")
    with owner_engine().begin() as owner:
        owner.execute(renamed, {"name": "older"})
    try:
        assert web.get("/readyz").status_code == 503
        assert web.get("/healthz").status_code == 200
    finally:
        with owner_engine().begin() as owner:
            owner.execute(renamed, {"name": newest()})


def test_there_are_as_many_threads_as_connections(db: object) -> None:
    app = create_app()

    @app.get("/threads")
    async def threads() -> float:  # pyright: ignore[reportUnusedFunction]
        return current_default_thread_limiter().total_tokens

    with serving(app) as client:
        assert client.get("/threads").json() == settings().threads


def test_a_description_of_the_api_is_served_and_names_no_foreign_page(
    web: httpx.Client,
) -> None:
    described = web.get("/openapi.json")
    assert "/v1/bridges/pair" in described.json()["paths"]
    assert "cdn" not in described.text
    assert web.get("/docs").status_code == 404


def test_the_access_log_names_the_route_and_nothing_of_a_person() -> None:
    app = FastAPI()

    @app.get("/patients/{patient_id}")
    def page(patient_id: str) -> str:  # pyright: ignore[reportUnusedFunction]
        return patient_id

    app.add_middleware(AccessLog)
    log, written = logging.getLogger("doseloop.access"), StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with serving(app) as client:
            client.get("/patients/Rosa-Keller?phone=0790000001")
    finally:
        log.removeHandler(handler)
    event = json.loads(written.getvalue())
    assert (event["event"], event["route"], event["status"]) == (
        "request",
        "/patients/{patient_id}",
        200,
    )
    assert "Rosa" not in written.getvalue()
    assert "0790000001" not in written.getvalue()


def test_who_never_finishes_the_header_fields_is_hung_up_on(db: object) -> None:
    class Hasty(PromptProtocol):
        headers_within = 0.3

    running = server(http=Hasty, port=0, loop="asyncio")
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        until = time.monotonic() + DEADLINE
        while not running.started and time.monotonic() < until:
            time.sleep(0.01)
        address = ("127.0.0.1", bound(running))
        for beginning in (b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "):
            with socket.create_connection(address, timeout=DEADLINE) as raw:
                raw.sendall(beginning)
                assert raw.recv(100) == b""
        assert httpx.get(f"http://127.0.0.1:{address[1]}/healthz").status_code == 200
    finally:
        running.should_exit = True
        thread.join(DEADLINE)
    assert not thread.is_alive()
