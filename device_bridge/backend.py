"""The backend as the bridge sees it: a few HTTP calls, each clear about retrying."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import httpx

from device_bridge.clock import Clock, DomainClock, real_now
from device_bridge.errors import BackendRefused, BackendUnavailable
from device_bridge.events import Item

PATIENCE = httpx.Timeout(30.0, connect=5.0)
TRY_AGAIN = (401, 408, 425, 429)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one item; `rejected` alone means that it was not stored."""

    verdict: str
    reason: str | None

    @property
    def committed(self) -> bool:
        return self.verdict != "rejected"


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """A device this bridge may read, and how far the backend has it."""

    device_id: str
    maker: str
    model: str
    serial: str
    epoch: int
    sequence: int


class Backend:
    """One connection pool and a token that may change."""

    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.AsyncClient(base_url=address, timeout=PATIENCE)
        self._token = token

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def use_token(self, token: str) -> None:
        """Send another token from now on."""
        self._token = token

    async def post_items(self, path: str, items: Sequence[Item]) -> list[Verdict]:
        """Return a verdict an item, in order, after the backend's commit."""
        answer = await self._call("POST", f"/v1/{path}", {"items": list(items)})
        return _verdicts(answer.get("verdicts"), len(items))

    async def post_segments(self, items: Sequence[Item]) -> list[Verdict]:
        """Return a verdict a segment, in order, after the backend's commit."""
        answer = await self._call("POST", "/v1/vitals", {"segments": list(items)})
        return _verdicts(answer.get("segments"), len(items))

    async def devices(self) -> list[dict[str, Any]]:
        """Return the devices this bridge may read, as the backend lists them."""
        return await self._call("GET", "/v1/bridges/devices")

    async def open_epoch(
        self, device_id: str, after: tuple[int, int] | None, reason: str
    ) -> int:
        """Return the epoch that follows a record; asking again gives the same."""
        last = None if after is None else {"epoch": after[0], "sequence": after[1]}
        body = {"device_id": device_id, "after": last, "reason": reason}
        answer = await self._call("POST", "/v1/device-epochs", body)
        return int(answer["epoch"])

    async def rotate(self) -> dict[str, Any]:
        """Return a new token and when it expires; the old one works for a while."""
        return await self._call("POST", "/v1/bridges/rotate", {})

    async def pair(self, code: str, name: str) -> dict[str, Any]:
        """Return id and token for a pairing code."""
        body = {"code": code, "name": name}
        return await self._call("POST", "/v1/bridges/pair", body)

    async def clock(self, clock: Clock) -> DomainClock:
        """Return the backend's domain clock and correct `clock` by its real time."""
        asked = real_now()
        answer = await self._call("GET", "/v1/clock")
        answered = real_now()
        clock.compare(asked, datetime.fromisoformat(answer["now"]), answered)
        return read_domain_clock(answer["domain"])

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Any:  # noqa: ANN401  as JSON gives it
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            answer = await self._http.request(
                method, path, headers=headers, json=body if method == "POST" else None
            )
        except httpx.HTTPError as error:
            raise BackendUnavailable(f"{type(error).__name__}: {error}") from error
        if answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
            raise BackendUnavailable(
                f"status {answer.status_code}", _seconds(answer.headers)
            )
        if answer.status_code >= 300:
            raise BackendRefused(answer.status_code, answer.text)
        try:
            return answer.json()
        except json.JSONDecodeError as error:
            # A captive portal or proxy answers for the backend: not a commit.
            raise BackendUnavailable("the answer is not JSON") from error


def read_domain_clock(value: Mapping[str, Any]) -> DomainClock:
    """Return the clock from its JSON."""
    return DomainClock(
        datetime.fromisoformat(value["anchor_real"]),
        datetime.fromisoformat(value["anchor_domain"]),
        float(value["speed"]),
    )


def registered(listed: Sequence[Mapping[str, Any]]) -> list[RegisteredDevice]:
    """Return the devices of the backend's list."""
    found: list[RegisteredDevice] = []
    for item in listed:
        committed: Mapping[str, int] = item.get("committed") or {}
        found.append(
            RegisteredDevice(
                device_id=item["device_id"],
                maker=item["maker"],
                model=item["model"],
                serial=item["serial"],
                epoch=committed.get("epoch", 0),
                sequence=committed.get("sequence", 0),
            )
        )
    return found


def _verdicts(value: object, wanted: int) -> list[Verdict]:
    items = cast("list[dict[str, Any]]", value if isinstance(value, list) else [])
    if len(items) != wanted:
        # Which item was committed cannot be said; all of them are sent again.
        raise BackendUnavailable("the verdicts do not match the items")
    return [Verdict(item["verdict"], item.get("reason")) for item in items]


def _seconds(headers: httpx.Headers) -> float | None:
    value = headers.get("Retry-After", "")
    return min(float(value), 300.0) if value.isdigit() else None
