"""Asks every route of an application for what is not the asker's.

`offences` lists what came of it. A route is found by itself; a path parameter or a
mount that nobody has classified is an offence, so that a new one is looked at.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast
from uuid import UUID

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import text
from starlette.routing import Mount

from backend.database import transaction
from tests.backend.filled import MARK

# Open to everybody, by purpose, and silent about any patient.
PUBLIC = {
    "GET /healthz",
    "GET /healthz/worker",
    "GET /readyz",
    "GET /openapi.json",
    "GET /push-worker.js",
    "GET /v1/clock",
    "GET /sign-in",
    "POST /sign-in",
    "POST /v1/bridges/pair",
}
PUBLIC_MOUNTS = {"/static"}

# What a path parameter may name without naming anybody's data.
HARMLESS = {"feed": "orders", "path": "x"}

# Changed by asking at all: who asked, with what token, when.
BY_ASKING = {
    "attempts",
    "audit_row",
    "bridge",
    "bridge_token",
    "sign_in_session",
}

STREAM = "text/event-stream"


@dataclass(frozen=True)
class Asker:
    """Somebody who must get nothing of the victim.

    `stranger` has no valid credential at all. `may_know` are ids of things they
    rightly work with.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stranger: bool = False
    may_know: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Victim:
    """Whose data they are: ids by the name of the column or parameter, and secrets."""

    ids: Mapping[str, UUID | str]
    secrets: frozenset[str]


@dataclass(frozen=True)
class Route:
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)


def routes(app: FastAPI) -> Iterator[Route | str]:
    """Return every route; a mount by its path alone."""
    for context in iter_route_contexts(app.routes):
        path = context.path or str(context.original_route)
        if isinstance(context.original_route, Mount):
            yield path
        for method in sorted((context.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method, path)


def offences(
    app: FastAPI, client: httpx.Client, askers: list[Asker], victim: Victim
) -> list[str]:
    """Return what is wrong, one line each; empty when nobody gets anything."""
    found: list[str] = []
    described = app.openapi()
    before = snapshot()
    for route in routes(app):
        if isinstance(route, str):
            found += [] if route in PUBLIC_MOUNTS else [f"mount {route}: classify it"]
            continue
        unknown = set(route.parameters) - set(victim.ids) - set(HARMLESS)
        if unknown:
            found.append(f"{route}: classify the parameters {sorted(unknown)}")
            continue
        for asker, sent in product(askers, bodies_for(route, described, victim)):
            wrong = _ask(client, route, asker, victim, sent)
            found += [f"{route} by {asker.name}: {line}" for line in wrong]
        after = snapshot()
        found += [f"{route}: changed {table}" for table in differing(before, after)]
        before = after
    return found


def _ask(
    client: httpx.Client,
    route: Route,
    asker: Asker,
    victim: Victim,
    sent: object,
) -> Iterator[str]:
    named = {**HARMLESS, **{name: str(one) for name, one in victim.ids.items()}}
    path = re.sub(r"{(\w+)(?::\w+)?}", lambda at: named[at[1]], route.path)
    with client.stream(
        route.method,
        path,
        headers={"Accept": "text/html, application/json", **asker.headers},
        json=sent,
    ) as answer:
        live = answer.headers.get("content-type", "").startswith(STREAM)
        told = "" if live else answer.read().decode(errors="replace")
    if answer.status_code >= 500 and str(route) not in PUBLIC:
        yield f"broke with {answer.status_code}"
    if str(route) in PUBLIC:
        asker = Asker(asker.name)
    names_victim = any(one in victim.ids for one in route.parameters)
    if answer.is_success and (asker.stranger or names_victim):
        yield f"answered {answer.status_code}"
    told += str(answer.headers)
    for secret in victim.secrets - asker.may_know - _said(path, sent):
        if secret in told:
            yield f"told {secret}"


def _said(path: str, sent: object) -> set[str]:
    """What the asker knew before, for it stands in the question."""
    return set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", f"{path} {sent}"))


def snapshot() -> dict[str, str]:
    """Return a digest of every table that asking alone does not change."""
    with transaction() as session:
        connection = session.connection()
        tables: list[str] = [
            name
            for name in connection.execute(text(TABLES)).scalars()
            if name not in BY_ASKING
        ]
        parts = [
            f"SELECT '{table}', md5(string_agg(t::text, '|' ORDER BY t::text))"
            f' FROM "{table}" t'
            for table in tables
        ]
        rows = connection.execute(text(" UNION ALL ".join(parts))).all()
        return {str(row[0]): str(row[1]) for row in rows}


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [table for table in before if before[table] != after[table]]


TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND relnamespace = current_schema()::regnamespace ORDER BY relname
"""


# Bodies

# What a schema alone does not tell.
FITTING: Mapping[str, object] = {
    "payload_hash": "0" * 64,
    "raw": "AA==",
    "device_time": None,
    "occurred_at": "2026-03-04T09:00:00Z",
    "evidence": "container_opened",
    "label": None,
    "unit": "/min",
    "amount": None,
    "code": "8867-4",
    "source": "export",
    "step": 1.0,
    "offsets": None,
}


def bodies_for(
    route: Route, described: Mapping[str, Any], victim: Victim
) -> Iterator[object]:
    """Return bodies that fit the route's schema: naming a device, a patient, both."""
    operation = described["paths"].get(route.path, {}).get(route.method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        yield None
        return
    for left_out in ({"patient_id", "source"}, {"device_id"}, set[str]()):
        yield Sampler((schema, described), victim, left_out).sample(schema)


@dataclass(frozen=True)
class Sampler:
    """Makes values that fit a JSON schema; ids are the victim's by their name."""

    roots: tuple[Mapping[str, Any], ...]
    victim: Victim
    left_out: set[str]

    def sample(self, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if "$ref" in schema:
            return self.sample(_resolved(schema["$ref"], self.roots))
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self.sample(schema[several][0])
        match schema.get("type"):
            case "object":
                return {
                    name: self._property(name, part)
                    for name, part in schema.get("properties", {}).items()
                    if name not in self.left_out
                }
            case "array":
                return [self.sample(schema.get("items", {}))]
            case "string":
                return _string(schema)
            case kind:
                return PLAIN.get(cast("str", kind))

    def _property(self, name: str, schema: Mapping[str, Any]) -> object:
        if name in self.victim.ids:
            return str(self.victim.ids[name])
        return FITTING[name] if name in FITTING else self.sample(schema)


PLAIN = {"integer": 1, "number": 1.0, "boolean": False}


def _string(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"examples": [str() as example, *_]}:
            return example
        case {"enum": [str() as first, *_]} | {"const": str() as first}:
            return first
        case {"pattern": str() as pattern} if pattern.startswith("^("):
            return re.split(r"[(|)]", pattern)[1]
        case {"format": "date-time"}:
            return "2026-03-04T09:00:00Z"
        case {"format": "date"}:
            return "2026-03-04"
        case _:
            return "0" * max(int(schema.get("minLength", 1)), 1)


def _resolved(
    reference: str, roots: tuple[Mapping[str, Any], ...]
) -> Mapping[str, Any]:
    for root in roots:
        found: Any = root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if found is not None:
            return cast("Mapping[str, Any]", found)
    raise KeyError(reference)


def secrets_in(rows: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return what of the victim's rows must not be told: ids and the mark."""
    return frozenset(
        {MARK}
        | {
            str(value)
            for row in rows.values()
            for name, value in row.items()
            if isinstance(value, UUID) and name != "clinic_id"
        }
    )
