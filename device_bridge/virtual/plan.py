"""The plan that virtual devices play: JSON, written by a simulator of behaviour.

    {"clock": {"anchor_real": T, "anchor_domain": T, "speed": n},
     "devices": [{"kind": "box" | "injector" | "wearable" | "cgm",
                  "serial": text, "maker": text, "model": text,
                  "clock_offset_s": 0,
                  "out_of_range": [[T, T], ...],
                  "events": [{"at": T, "what": WHAT, "amount": number | null,
                              "unit": "[iU]" | "mL" | "mg" | "1" | null,
                              "compartment": int | null}],
                  "heart_rate": {"base": 62, "sleep": 54, "noise": 3,
                                 "steps": [[T, delta_bpm], ...]} | null,
                  "glucose": {"base": 110, "noise": 8,
                              "steps": [[T, delta_mg_per_dl], ...]} | null,
                  "battery": [[T, percent], ...],      optional
                  "reset": [T, ...]}]}                 optional

T is ISO 8601 with offset, in domain time (only `anchor_real` is real time). WHAT:

- `opened`, `closed`: the container. `dispensed`: `amount` of `unit`, by default one
  dose from a box. `prime`: like a dose, not meant for the patient. `no_measurement`:
  something was released, nobody knows how much.
- `battery_low`.
- `clock_set`: the device's clock jumps by `amount` seconds (new minus old); null: the
  time is lost, the clock starts at 2000-01-01 and asks to be set.

`battery` is a curve, held level before its first and after its last point (by default
100 throughout). At each `reset` the device forgets its records and its numbering, as
after a return to factory settings; clock and bonds stay. A glucose sensor (`cgm`)
begins another session then; the first begins at the anchor. Events before the anchor
are in the device's memory from the start. Unknown keys are refused.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast

from device_bridge.clock import DomainClock
from device_bridge.errors import BadPlan

KINDS = ("box", "injector", "wearable", "cgm")
MEASURING = {"wearable": "heart_rate", "cgm": "glucose"}
UNITS = ("[iU]", "mL", "mg", "1")
WHATS = (
    "opened",
    "closed",
    "dispensed",
    "prime",
    "no_measurement",
    "battery_low",
    "clock_set",
)
LONGEST_TEXT = 64
FASTEST = 10_000.0


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    at: datetime
    what: str
    amount: Decimal | None = None
    unit: str | None = None
    compartment: int | None = None


@dataclass(frozen=True, slots=True)
class HeartRatePlan:
    """Beats per minute awake and asleep, their noise, and lasting changes."""

    base: float
    sleep: float
    noise: float
    steps: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class GlucosePlan:
    """Glucose in mg/dL, its noise, and lasting changes."""

    base: float
    noise: float
    steps: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    kind: str
    serial: str
    maker: str
    model: str
    clock_offset_s: float
    out_of_range: tuple[tuple[datetime, datetime], ...]
    events: tuple[PlannedEvent, ...]
    heart_rate: HeartRatePlan | None
    battery: tuple[tuple[datetime, float], ...]
    reset: tuple[datetime, ...]
    glucose: GlucosePlan | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    clock: DomainClock
    devices: tuple[PlannedDevice, ...]


class Node:
    """A place in the JSON that can say where it is when something is wrong there."""

    def __init__(self, where: str, value: object) -> None:
        self.where = where
        self.value = value

    def bad(self, why: str) -> BadPlan:
        return BadPlan(self.where, why)

    def keys(self, required: set[str], optional: set[str]) -> dict[str, "Node"]:
        """Return the members of an object that has these keys and no others."""
        if not isinstance(self.value, dict):
            raise self.bad("want an object")
        members = cast("dict[str, object]", self.value)
        if missing := required - members.keys():
            raise self.bad(f"missing {', '.join(sorted(missing))}")
        if unknown := members.keys() - required - optional:
            raise self.bad(f"unknown {', '.join(sorted(unknown))}")
        return {key: Node(f"{self.where}.{key}", v) for key, v in members.items()}

    def items(self) -> list["Node"]:
        """Return the members of an array."""
        if not isinstance(self.value, list):
            raise self.bad("want an array")
        members = cast("list[object]", self.value)
        return [Node(f"{self.where}[{i}]", item) for i, item in enumerate(members)]

    def pair(self) -> tuple["Node", "Node"]:
        """Return the two members of an array of two."""
        items = self.items()
        if len(items) != 2:
            raise self.bad("want a pair")
        return items[0], items[1]

    def instant(self) -> datetime:
        """Return an aware instant."""
        try:
            at = datetime.fromisoformat(str(self.value))
        except ValueError:
            raise self.bad("want ISO 8601 with offset") from None
        if at.tzinfo is None:
            raise self.bad("has no offset")
        return at

    def decimal(self) -> Decimal:
        """Return a finite number with the digits of the text or JSON number."""
        if isinstance(self.value, bool) or not isinstance(
            self.value, int | float | str
        ):
            raise self.bad("want a number")
        try:
            number = Decimal(str(self.value))
        except InvalidOperation:
            raise self.bad("want a number") from None
        if not number.is_finite():
            raise self.bad("want a finite number")
        return number

    def number(self, low: float, high: float) -> float:
        """Return a number within bounds, both included."""
        number = float(self.decimal())
        if not low <= number <= high:
            raise self.bad(f"want {low:g} to {high:g}")
        return number

    def text(self) -> str:
        """Return a text that fits a characteristic."""
        if not isinstance(self.value, str) or not 0 < len(self.value) <= LONGEST_TEXT:
            raise self.bad(f"want 1 to {LONGEST_TEXT} characters")
        return self.value

    def one_of(self, allowed: tuple[str, ...]) -> str:
        """Return one of a few words."""
        if self.value not in allowed:
            raise self.bad(f"want one of {', '.join(allowed)}")
        return str(self.value)


NULL = Node("", None)


def load_plan(path: Path) -> Plan:
    """Return the plan in a file; raises BadPlan that names the place."""
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadPlan(str(path), str(error)) from error
    return read_plan(document)


def read_plan(document: object) -> Plan:
    """Return the plan in parsed JSON; raises BadPlan that names the place."""
    top = Node("plan", document).keys({"clock", "devices"}, set())
    clock = top["clock"].keys({"anchor_real", "anchor_domain", "speed"}, set())
    speed = clock["speed"].number(0, FASTEST)
    if speed == 0:
        raise clock["speed"].bad("time must pass")
    domain = DomainClock(
        clock["anchor_real"].instant(), clock["anchor_domain"].instant(), speed
    )
    devices = tuple(_device(node, domain) for node in top["devices"].items())
    seen: set[str] = set()
    for device in devices:
        if device.serial in seen:
            raise top["devices"].bad(f"serial {device.serial} occurs twice")
        seen.add(device.serial)
    return Plan(domain, devices)


def _device(node: Node, clock: DomainClock) -> PlannedDevice:
    known = {"kind", "serial", "maker", "model", "events"}
    extra = {"clock_offset_s", "out_of_range", "battery", "reset", *MEASURING.values()}
    at = node.keys(known, extra)
    kind = at["kind"].one_of(KINDS)
    rate, glucose = at.get("heart_rate", NULL), at.get("glucose", NULL)
    measured = MEASURING.get(kind)
    if measured and at.get(measured, NULL).value is None:
        raise node.bad(f"a {kind} needs {measured}")
    events = [_event(item, kind) for item in at["events"].items()]
    offset = at.get("clock_offset_s", Node("", 0))
    return PlannedDevice(
        kind=kind,
        serial=at["serial"].text(),
        maker=at["maker"].text(),
        model=at["model"].text(),
        clock_offset_s=offset.number(-1e9, 1e9),
        out_of_range=tuple(_span(i) for i in _items(at, "out_of_range")),
        events=tuple(sorted(events, key=lambda event: event.at)),
        heart_rate=None if rate.value is None else _heart_rate(rate),
        battery=_curve(_items(at, "battery")) or ((clock.anchor_domain, 100.0),),
        reset=tuple(sorted(item.instant() for item in _items(at, "reset"))),
        glucose=None if glucose.value is None else _glucose(glucose),
    )


def _items(at: dict[str, Node], key: str) -> list[Node]:
    return at[key].items() if key in at else []


def _span(node: Node) -> tuple[datetime, datetime]:
    start, end = (end.instant() for end in node.pair())
    if start >= end:
        raise node.bad("ends before it starts")
    return start, end


def _curve(nodes: list[Node]) -> tuple[tuple[datetime, float], ...]:
    points = [(at.instant(), v.number(0, 100)) for at, v in (n.pair() for n in nodes)]
    return tuple(sorted(points))


def _glucose(node: Node) -> GlucosePlan:
    at = node.keys({"base", "noise", "steps"}, set())
    steps = [item.pair() for item in at["steps"].items()]
    return GlucosePlan(
        base=at["base"].number(40, 400),
        noise=at["noise"].number(0, 100),
        steps=tuple(sorted((a.instant(), d.number(-400, 400)) for a, d in steps)),
    )


def _heart_rate(node: Node) -> HeartRatePlan:
    at = node.keys({"base", "sleep", "noise", "steps"}, set())
    steps = [item.pair() for item in at["steps"].items()]
    return HeartRatePlan(
        base=at["base"].number(20, 250),
        sleep=at["sleep"].number(20, 250),
        noise=at["noise"].number(0, 50),
        steps=tuple(sorted((a.instant(), d.number(-200, 200)) for a, d in steps)),
    )


def _event(node: Node, kind: str) -> PlannedEvent:
    at = node.keys({"at", "what"}, {"amount", "unit", "compartment"})
    if kind in MEASURING:
        raise node.bad(f"a {kind} has no events")
    amount, unit = at.get("amount", NULL), at.get("unit", NULL)
    compartment = at.get("compartment", NULL)
    event = PlannedEvent(
        at=at["at"].instant(),
        what=at["what"].one_of(WHATS),
        amount=None if amount.value is None else amount.decimal(),
        unit=None if unit.value is None else unit.one_of(UNITS),
        compartment=None
        if compartment.value is None
        else int(compartment.number(0, 255)),
    )
    _check_amount(node, event, kind)
    return event


def _check_amount(node: Node, event: PlannedEvent, kind: str) -> None:
    if event.what not in ("dispensed", "prime"):
        return
    if event.amount is not None and event.amount <= 0:
        raise node.bad("an amount is above zero")
    if kind == "injector" and (event.amount is None or event.unit is None):
        raise node.bad("an injector needs amount and unit")
