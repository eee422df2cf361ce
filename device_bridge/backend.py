"""The backend as the bridge sees it: a few HTTP calls, each clear about retrying."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import httpx
import orjson

from device_bridge.clock import Clock, DomainClock
from device_bridge.errors import BackendRefused, BackendUnavailable
from device_bridge.events import Item

PATIENCE = httpx.Timeout(30.0, connect=5.0)
TRY_AGAIN = (401, 408, 425, 429)
VERDICTS = {"new", "known", "quarantined", "rejected"}
# What reading a value of another shape raises.
NOT_OURS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
T = TypeVar("T")


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

    def __init__(
        self, address: str, token: str, over: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=address, timeout=PATIENCE, transport=over
        )
        self._token = token

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def use_token(self, token: str) -> None:
        """Send another token from now on."""
        self._token = token

    async def post_items(self, path: str, items: Sequence[Item]) -> list[Verdict]:
        """Return a verdict an item, in order, after the backend's commit."""

        def read(answer: Any) -> list[Verdict]:  # noqa: ANN401  as JSON gives it
            return _verdicts(answer["verdicts"], len(items))

        return await self._call("POST", f"/v1/{path}", read, {"items": list(items)})

    async def post_segments(self, items: Sequence[Item]) -> list[Verdict]:
        """Return a verdict a segment, in order, after the backend's commit."""

        def read(answer: Any) -> list[Verdict]:  # noqa: ANN401  as JSON gives it
            return _verdicts(answer["segments"], len(items))

        return await self._call("POST", "/v1/vitals", read, {"segments": list(items)})

    async def devices(self) -> list[dict[str, Any]]:
        """Return the devices this bridge may read, as the backend lists them."""

        def read(answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401  as JSON gives it
            if not isinstance(answer, list):
                raise TypeError("no list of devices")
            listed = cast("list[dict[str, Any]]", answer)
            registered(listed)
            return listed

        return await self._call("GET", "/v1/bridges/devices", read)

    async def open_epoch(
        self, device_id: str, after: tuple[int, int] | None, reason: str
    ) -> int:
        """Return the epoch that follows a record; asking again gives the same."""
        last = None if after is None else {"epoch": after[0], "sequence": after[1]}
        body = {"device_id": device_id, "after": last, "reason": reason}

        def read(answer: Any) -> int:  # noqa: ANN401  as JSON gives it
            return int(answer["epoch"])

        return await self._call("POST", "/v1/device-epochs", read, body)

    async def rotate(self) -> dict[str, Any]:
        """Return a new token and when it expires; the old one works for a while."""
        return await self._call("POST", "/v1/bridges/rotate", _with_token, {})

    async def pair(self, code: str, name: str) -> dict[str, Any]:
        """Return id and token for a pairing code."""
        body = {"code": code, "name": name}
        return await self._call("POST", "/v1/bridges/pair", _with_token, body)

    async def clock(self, clock: Clock) -> DomainClock:
        """Return the backend's domain clock and correct `clock` by its real time."""
        asked = clock.own

        def read(answer: Any) -> DomainClock:  # noqa: ANN401  as JSON gives it
            answered, server = clock.own, _instant(answer["now"])
            domain = read_domain_clock(answer["domain"])
            clock.compare(asked, server, answered)
            return domain

        return await self._call("GET", "/v1/clock", read)

    async def _call(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """Return what `read` makes of the answer.

        A captive portal or a proxy may answer for the backend, in any shape: that is
        no commit and no refusal, but a backend that was not reached.
        """
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        content = None
        if method == "POST":
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(body)
        try:
            answer = await self._http.request(
                method, path, headers=headers, content=content
            )
        except httpx.HTTPError as error:
            raise BackendUnavailable(f"{type(error).__name__}: {error}") from error
        if answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
            raise BackendUnavailable(
                f"status {answer.status_code}", _seconds(answer.headers)
            )
        if answer.is_redirect:
            raise BackendUnavailable(f"status {answer.status_code}")
        if answer.status_code >= 300:
            raise BackendRefused(answer.status_code, answer.text)
        try:
            return read(orjson.loads(answer.content))
        except NOT_OURS as error:
            why = f"not an answer of the backend: {type(error).__name__}"
            raise BackendUnavailable(why) from error


def read_domain_clock(value: Mapping[str, Any]) -> DomainClock:
    """Return the clock from its JSON."""
    speed = float(value["speed"])
    if not 0 < speed < float("inf"):
        raise ValueError(f"no speed: {speed}")
    anchor_real, anchor_domain = value["anchor_real"], value["anchor_domain"]
    return DomainClock(_instant(anchor_real), _instant(anchor_domain), speed)


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
                epoch=int(committed.get("epoch", 0)),
                sequence=int(committed.get("sequence", 0)),
            )
        )
    return found


def _verdicts(value: Sequence[Mapping[str, Any]], wanted: int) -> list[Verdict]:
    if len(value) != wanted:
        # Which item was committed cannot be said; all of them are sent again.
        raise BackendUnavailable("the verdicts do not match the items")
    verdicts = [Verdict(item["verdict"], item.get("reason")) for item in value]
    if unknown := {verdict.verdict for verdict in verdicts} - VERDICTS:
        raise ValueError(f"no verdicts: {unknown}")
    return verdicts


def _with_token(answer: Any) -> dict[str, Any]:  # noqa: ANN401  as JSON gives it
    """Return an answer that has a token to be kept."""
    if not isinstance(answer["token"], str) or not answer["token"]:
        raise ValueError("no token")
    if expires := answer.get("expires_at"):
        _instant(expires)
    return answer


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"no instant: {text}")
    return at


def _seconds(headers: httpx.Headers) -> float | None:
    value = headers.get("Retry-After", "")
    return min(float(value), 300.0) if value.isdecimal() else None
