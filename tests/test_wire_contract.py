"""Bridge and backend share no module, only a JSON shape: here they are held to it.

Everything the bridge can report is read by the backend without loss, and everything
the backend answers is understood by the bridge.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import domain_clock, real_now
from backend.database import transaction
from backend.devices.tables import Device
from backend.ingest import vital_items
from backend.ingest.items import DoseItem, EventItem, EventKind, Item, Read, read
from backend.people.bridges import new_code
from backend.people.tables import Clinic
from device_bridge.backend import Backend, registered
from device_bridge.clock import Clock
from device_bridge.events import (
    DeviceEvent,
    DoseEvent,
    Evidence,
    Kind,
    Label,
    Record,
    VitalSegment,
    heard,
    plain_event,
    segment_item,
)
from tests import builders
from tests.device_bridge.test_wire import MEASURING, measured
from tests.serving import serving

T = TypeVar("T")
DEVICE = "5f0c7a52-3f8e-4d1b-9a41-6f3f0a1f2b10"
# Whatever a device's clock may show once it has been corrected.
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(9998, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC)
)
SECONDS = st.floats(0, 1e6)
NUMBERS = st.integers(0, 2**32 - 1)
EPOCHS = st.integers(0, 2**31 - 2)
UNITS = st.sampled_from(["[iU]", "mL", "mg", "1"])
# As a device's FLOAT gives them: 24 bits and a power of ten.
POWERS = st.sampled_from([Decimal(10) ** power for power in range(-8, 3)])
AMOUNTS = st.tuples(st.integers(1, 2**23 - 3), POWERS).map(lambda at: at[0] * at[1])
COMPARTMENTS = st.none() | st.integers(0, 255)


def doses() -> st.SearchStrategy[DoseEvent]:
    evidence, label = st.sampled_from(Evidence), st.none() | st.sampled_from(Label)
    measured = st.builds(DoseEvent, evidence, label, COMPARTMENTS, AMOUNTS, UNITS)
    return measured | st.builds(DoseEvent, evidence, label, COMPARTMENTS)


def device_events() -> st.SearchStrategy[DeviceEvent]:
    details = st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20),
        st.none() | st.floats(allow_nan=False, allow_infinity=False) | NUMBERS,
        max_size=5,
    )
    return st.builds(DeviceEvent, st.sampled_from(Kind), details)


def records(
    what: st.SearchStrategy[DoseEvent | DeviceEvent | None],
) -> st.SearchStrategy[Record]:
    return st.builds(
        Record,
        device_id=st.just(DEVICE),
        epoch=EPOCHS,
        sequence=NUMBERS,
        raw=st.binary(min_size=1, max_size=4096),
        occurred_at=st.none() | INSTANTS,
        uncertainty_s=SECONDS,
        device_time=st.none() | st.binary(min_size=9, max_size=9),
        offset_s=st.none() | st.floats(-1e9, 1e9),
        what=what,
        claimed_live=st.booleans(),
    )


def sent(item: dict[str, Any], kind: type[Item]) -> Item:
    """Return what the backend reads in an item after it went over the wire."""
    over: Read[Item] = read([json.loads(json.dumps(item))], kind)[0]
    assert isinstance(over.item, kind), over.item
    return over.item


@given(records(st.none() | doses()))
def test_a_dose_record_arrives_as_it_was_meant(record: Record) -> None:
    got, dose = sent(record.item(), DoseItem), record.what
    assert record.path == "dose-events"
    assert (got.device_id, got.epoch, got.sequence) == (
        UUID(DEVICE),
        record.epoch,
        record.sequence,
    )
    assert (got.raw, got.payload_hash) == (record.raw, sha256(record.raw).digest())
    assert got.occurred_at == record.occurred_at
    assert got.uncertainty_s == pytest.approx(record.uncertainty_s, abs=1e-3)
    assert got.offset_s == pytest.approx(record.offset_s, abs=1e-3)
    device_time = None if record.device_time is None else record.device_time.hex()
    assert got.device_time == device_time
    assert got.claimed_live is record.claimed_live
    told = (got.evidence, got.label, got.compartment, got.amount, got.unit)
    if dose is None:
        assert told == (None,) * 5
    else:
        assert isinstance(dose, DoseEvent)
        meant = (dose.evidence, dose.label, dose.compartment, dose.amount, dose.unit)
        assert told == meant


@given(records(device_events()))
def test_a_device_record_arrives_as_it_was_meant(record: Record) -> None:
    got = sent(record.item(), EventItem)
    event = record.what
    assert isinstance(event, DeviceEvent)
    assert record.path == "device-events"
    assert got.record is not None
    assert (got.record.epoch, got.record.sequence) == (record.epoch, record.sequence)
    assert got.record.payload_hash == sha256(record.raw).digest()
    assert got.record.raw == record.raw
    assert got.occurred_at == record.occurred_at
    doubt = got.detail.pop("time_uncertainty_s", None)
    assert (got.kind, got.detail) == (event.kind.value, event.detail)
    assert doubt is None or doubt == pytest.approx(record.uncertainty_s, abs=1e-3)


def test_both_sides_know_the_same_kinds_of_event() -> None:
    assert {kind.value for kind in Kind} == {kind.value for kind in EventKind}


def test_how_far_a_clock_was_ahead_arrives_rounded_up() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    until = sent(heard(DEVICE, 0, 1, at, (-2.25, 0.0101)), EventItem).heard_until
    assert until is not None
    assert until.clock is not None
    assert (until.clock.offset_s, until.clock.uncertainty_s) == (-2.25, 0.011)


@given(EPOCHS, NUMBERS, INSTANTS)
def test_how_far_a_device_was_heard_arrives(
    epoch: int, sequence: int, at: datetime
) -> None:
    got = sent(heard(DEVICE, epoch, sequence, at), EventItem)
    until = got.heard_until
    assert until is not None
    assert (got.kind, until.epoch, until.sequence, until.at) == (
        "heard",
        epoch,
        sequence,
        at,
    )


@given(st.sampled_from(sorted(set(Kind) - {Kind.HEARD})), INSTANTS)
def test_what_the_bridge_noticed_itself_arrives(kind: Kind, at: datetime) -> None:
    item = plain_event(DEVICE, kind, at, {"from": 1, "to": 2})
    got = sent(item, EventItem)
    assert (got.id, got.kind, got.occurred_at, got.detail) == (
        item["id"],
        kind.value,
        at,
        {"from": 1, "to": 2},
    )


BEATS = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(0, 2**16 - 1)),
    min_size=1,
    max_size=60,
    unique_by=lambda beat: beat[0],
).map(sorted)


@given(INSTANTS, BEATS, st.sampled_from([True, False]))
def test_a_run_of_heart_rate_arrives(
    start: datetime,
    beats: list[tuple[int, int]],
    live: bool,  # noqa: FBT001
) -> None:
    segment = VitalSegment(
        f"{DEVICE}:123456:7",
        DEVICE,
        "8867-4",
        "/min",
        start,
        tuple(ms / 1000 for ms, _ in beats),
        tuple(float(beat) for _, beat in beats),
    )
    body = {"segments": [segment_item(segment, live=live)]}
    batch = vital_items.read(json.dumps(body).encode())
    assert not batch.segments.broken
    got = batch.segments.good[0]
    assert (got["id"], got.get("device_id")) == (segment.id, UUID(DEVICE))
    assert (got["code"], got["unit"], got["start"]) == ("8867-4", "/min", start)
    assert tuple(got.get("offsets", ())) == segment.offsets
    assert tuple(got["values"]) == segment.values
    assert got.get("claimed_live") is live


@pytest.fixture
def device_id(db: object) -> str:
    with transaction() as session:
        clinic = builders.a_clinic(session)
        device = builders.a_device(session, clinic, maker="Acme", serial="B 1")
        return str(device.device_id)


@pytest.fixture
def address(device_id: str) -> Generator[str]:
    with serving(create_app()) as client:
        yield str(client.base_url)


def asked(address: str, ask: Callable[[Backend], Awaitable[T]]) -> T:
    """Ask the real backend as a newly paired bridge does."""
    with transaction() as session:
        clinic = session.exec(select(Device.clinic_id)).one()
        code = new_code(session, clinic, kind="gateway", actor=SYSTEM, real=real_now())

    async def asking() -> T:
        backend = Backend(address, "")
        try:
            paired = await backend.pair(code, "ward 3")
            backend.use_token(paired["token"])
            return await ask(backend)
        finally:
            await backend.close()

    return asyncio.run(asking())


def test_a_paired_bridge_rotates_its_token(address: str) -> None:
    rotated = asked(address, lambda backend: backend.rotate())
    assert datetime.fromisoformat(rotated["expires_at"]) > real_now()
    assert rotated["token"]


def test_the_bridge_takes_over_the_domain_clock(address: str) -> None:
    clock = Clock()
    got = asked(address, lambda backend: backend.clock(clock))
    shared = domain_clock()
    assert (got.anchor_real, got.anchor_domain, got.speed) == (
        shared.anchor_real,
        shared.anchor_domain,
        shared.speed,
    )
    assert clock.error == timedelta(0)


def test_the_same_question_for_an_epoch_has_the_same_answer(
    address: str, device_id: str
) -> None:
    async def twice(backend: Backend) -> tuple[int, int]:
        first = await backend.open_epoch(device_id, (3, 7), "reset")
        return first, await backend.open_epoch(device_id, (3, 7), "reset")

    assert asked(address, twice) == (4, 4)


def test_the_bridge_reads_verdicts_and_how_far_its_devices_are(
    address: str, device_id: str
) -> None:
    now = real_now()
    opened = a_record(device_id, 1, DoseEvent(Evidence.CONTAINER_OPENED), now)
    closed = a_record(device_id, 2, DeviceEvent(Kind.CONTAINER_CLOSED), now)
    unread = a_record(device_id, 3, None, now)
    foreign = a_record(str(uuid4()), 1, DoseEvent(Evidence.CONTAINER_OPENED), now)

    async def telling(backend: Backend) -> list[list[tuple[str, bool]]]:
        doses = [record.item() for record in (opened, unread, foreign, opened)]
        told = [
            await backend.post_items("dose-events", doses),
            await backend.post_items("device-events", [closed.item()]),
            await backend.post_items("device-events", [heard(device_id, 0, 3, now)]),
            await backend.post_segments([a_segment(device_id, now)]),
        ]
        (listed,) = registered(await backend.devices())
        assert (listed.device_id, listed.maker, listed.serial) == (
            device_id,
            "Acme",
            "B 1",
        )
        assert (listed.epoch, listed.sequence) == (0, 3)
        return [[(one.verdict, one.committed) for one in batch] for batch in told]

    assert asked(address, telling) == [
        [("new", True), ("quarantined", True), ("rejected", False), ("known", True)],
        [("new", True)],
        [("new", True)],
        [("quarantined", True)],
    ]


def test_the_last_epoch_and_number_there_are_can_be_stored(
    address: str, device_id: str
) -> None:
    now = real_now()
    opened = a_record(device_id, 2**53 - 1, DoseEvent(Evidence.CONTAINER_OPENED), now)
    closed = a_record(device_id, 2**53 - 2, DeviceEvent(Kind.CONTAINER_CLOSED), now)

    async def telling(backend: Backend) -> list[str]:
        told: list[str] = []
        for record in (opened, closed):
            for epoch in (2**31 - 2, 2**31 - 1):
                item = record._replace(epoch=epoch).item()
                verdicts = await backend.post_items(record.path, [item])
                told += [one.verdict for one in verdicts]
        return told

    assert asked(address, telling) == ["new", "rejected", "new", "rejected"]


MEASURED = sorted(
    {
        (vital.code.loinc, vital.code.unit, vital.value)
        for name in MEASURING
        for decode, octets, told in (line.values for line in measured(name))
        if told != "malformed"
        for vital in decode(bytes.fromhex(octets)).vitals
    }
)
IMPOSSIBLE = (
    ("8310-5", "Cel", 98.6),  # degrees Fahrenheit called Celsius
    ("8480-6", "mm[Hg]", 2047.0),
    ("59408-5", "%", 127.0),
    ("29463-7", "kg", 800.0),
    ("2339-0", "mg/dL", 0.095),
)


def test_what_devices_measure_is_stored_and_the_impossible_is_not(
    address: str, device_id: str
) -> None:
    now = real_now() - timedelta(hours=1)
    with transaction() as session:
        device = session.get_one(Device, UUID(device_id))
        patient = builders.a_patient(session, session.get_one(Clinic, device.clinic_id))
        builders.an_assignment(session, device, patient)

    def item(place: int, sample: tuple[str, str, float]) -> dict[str, Any]:
        code, unit, value = sample
        at = now + timedelta(seconds=place)
        run = VitalSegment(f"m{place}", device_id, code, unit, at, (0.0,), (value,))
        return segment_item(run, live=True)

    items = [item(place, one) for place, one in enumerate((*MEASURED, *IMPOSSIBLE))]

    async def telling(backend: Backend) -> list[list[str]]:
        batches = [await backend.post_segments(items) for _ in range(2)]
        return [[one.verdict for one in batch] for batch in batches]

    first, again = asked(address, telling)
    # Ice and a thermometer on a winter's table are no bodies.
    cold = [code == "8310-5" and value < 10 for code, _, value in MEASURED]
    expected = ["quarantined" if is_cold else "new" for is_cold in cold]
    assert first == expected + ["quarantined"] * len(IMPOSSIBLE)
    assert "new" not in again
    assert len({code for code, _, _ in MEASURED}) == 11


def a_record(
    device_id: str, number: int, what: DoseEvent | DeviceEvent | None, at: datetime
) -> Record:
    raw = f"{device_id}{number}".encode()
    return Record(device_id, 0, number, raw, at, 0.1, bytes(9), 0.0, what, True)


def a_segment(device_id: str, at: datetime) -> dict[str, Any]:
    run = VitalSegment("s", device_id, "8867-4", "/min", at, (0.0,), (60.0,))
    return segment_item(run, live=True)
