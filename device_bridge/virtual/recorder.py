"""What a pill box or injector records: plan events become numbered records on disk."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from device_bridge.clock import CLOCK_STEP_S, DomainClock, real_now
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt.elapsed_time import (
    CURRENT_TIMELINE,
    EPOCH,
    SYNC_NONE,
    SYNC_NTP,
    ElapsedTime,
    utc_stamp,
)
from device_bridge.gatt.ghs import (
    U8,
    U16,
    U32,
    Discrete,
    Events,
    Observation,
    Quantity,
    Tlv,
    Value,
    encode_observation,
)
from device_bridge.gatt.ieee11073 import NOT_A_NUMBER, Number
from device_bridge.virtual.memory import DeviceState, KeptRecord, Memory
from device_bridge.virtual.plan import PlannedDevice, PlannedEvent

STAMP_AT = 9  # class, length, flags and type come first; all are always there
PRECISION = Decimal("0.001")
LARGEST_MANTISSA = 2**23 - 3  # above it are the special values


class Recorder:
    """One device's memory and clock. Knows true time only to run its own clock."""

    def __init__(
        self,
        plan: PlannedDevice,
        memory: Memory,
        clock: DomainClock,
        read_real: Callable[[], datetime] = real_now,
    ) -> None:
        self.plan = plan
        self.memory = memory
        self.clock = clock
        self._read_real = read_real
        self.state = memory.state(plan.serial, offset_s=plan.clock_offset_s)
        self._opened_at: dict[int | None, datetime] = {}

    @property
    def now(self) -> datetime:
        """Return the true domain time."""
        return self.clock.at(self._read_real())

    def time(self, at: datetime | None = None) -> ElapsedTime:
        """Return what the device's clock shows, as 2BF2 is read."""
        stamp = self._stamp(at or self.now, self.state)
        return replace(stamp, status=int(self.state.lost), capabilities=0)

    def next_due(self) -> datetime | None:
        """Return when the plan next has something for this device, or None."""
        after = self.state.played_until
        instants = [event.at for event in self.plan.events] + list(self.plan.reset)
        return min((at for at in instants if at > after), default=None)

    def play(self, until: datetime) -> list[KeptRecord]:
        """Return the new records of all planned events up to `until`, kept on disk."""
        made: list[KeptRecord] = []
        for stretch in self._stretches(until):
            made += self._play_stretch(stretch)
        return made

    def set_clock(self, face: datetime) -> KeptRecord | None:
        """Set the clock; return the record of it if the change opens a new timeline."""
        now = self.now
        moved = (face - now).total_seconds() - self.state.offset_s
        lost = self.state.lost
        if not lost and abs(moved) <= CLOCK_STEP_S:
            kept = replace(self.state, offset_s=self.state.offset_s + moved)
            self._keep([], kept)
            return None
        state = self._moved(moved)
        record = self._clock_record(now, state, None if lost else Decimal(str(moved)))
        self._keep([record], replace(state, next_number=state.next_number + 1))
        return record

    def message(self, kept: KeptRecord) -> bytes:
        """Return a record's message, its stamp marked if the present timeline's."""
        if kept.epoch != self.state.epoch:
            return kept.message
        marked = kept.message[STAMP_AT] | CURRENT_TIMELINE
        return kept.message[:STAMP_AT] + bytes([marked]) + kept.message[STAMP_AT + 1 :]

    def battery(self) -> int:
        """Return the charge in percent, from the plan's curve."""
        return battery_at(self.plan, self.now)

    def _stretches(self, until: datetime) -> Iterator[list[PlannedEvent] | datetime]:
        after = self.state.played_until
        resets = [at for at in self.plan.reset if after < at <= until]
        pending = [e for e in self.plan.events if after < e.at <= until]
        for reset in resets:
            yield [event for event in pending if event.at < reset]
            yield reset
            pending = [event for event in pending if event.at >= reset]
        yield pending

    def _play_stretch(self, stretch: list[PlannedEvent] | datetime) -> list[KeptRecord]:
        if isinstance(stretch, datetime):
            was = self.state
            self.state = DeviceState(1, was.epoch, was.offset_s, was.lost, stretch)
            self.memory.forget(self.plan.serial, self.state)
            return []
        state, made = self.state, list[KeptRecord]()
        for event in stretch:
            state, record = self._record(event, state)
            made.append(record)
        if stretch:
            self._keep(made, replace(state, played_until=stretch[-1].at))
        return made

    def _keep(self, records: list[KeptRecord], state: DeviceState) -> None:
        self.memory.append(self.plan.serial, records, state)
        self.state = state

    def _record(
        self, event: PlannedEvent, state: DeviceState
    ) -> tuple[DeviceState, KeptRecord]:
        if event.what == "clock_set":
            self.state = state
            moved = _move(event, state)
            state = replace(self._moved(float(moved)), lost=event.amount is None)
            said = None if event.amount is None else moved
            record = self._clock_record(event.at, state, said)
        else:
            kind, value, tlvs = self._content(event)
            record = self._kept(event.at, state, kind, value, tlvs)
        return replace(state, next_number=state.next_number + 1), record

    def _moved(self, by_s: float) -> DeviceState:
        state = self.state
        return replace(
            state,
            epoch=(state.epoch + 1) % 0x10000,
            offset_s=state.offset_s + by_s,
            lost=False,
        )

    def _clock_record(
        self, at: datetime, state: DeviceState, moved: Decimal | None
    ) -> KeptRecord:
        number = NOT_A_NUMBER if moved is None else _number(moved)
        value = Quantity(mdc.UNIT_SECOND, number)
        return self._kept(at, state, mdc.CLOCK_SET, value, ())

    def _content(self, event: PlannedEvent) -> tuple[int, Value, tuple[Tlv, ...]]:
        tlvs: tuple[Tlv, ...] = ()
        if event.compartment is not None:
            tlvs = (Tlv(mdc.COMPARTMENT, U8, bytes([event.compartment])),)
        match event.what:
            case "opened":
                self._opened_at[event.compartment] = event.at
                return mdc.CONTAINER, Discrete(mdc.CONTAINER_OPENED), tlvs
            case "closed":
                opened = self._opened_at.pop(event.compartment, None)
                tlvs += _duration(opened, event.at)
                return mdc.CONTAINER, Discrete(mdc.CONTAINER_CLOSED), tlvs
            case "battery_low":
                return mdc.AI_MED_STATUS, Events((mdc.BATTERY_LOW,)), tlvs
            case _:
                return *self._dose(event), tlvs

    def _dose(self, event: PlannedEvent) -> tuple[int, Value]:
        fixed = self.plan.kind == "box"
        unit = event.unit or ("1" if fixed else "[iU]")
        number = Number(event.amount if event.amount is not None else Decimal(1))
        if event.what == "no_measurement":
            number = NOT_A_NUMBER
        code = mdc.AI_MED_DISPENSED_FIXED if fixed else mdc.AI_MED_DISPENSED_VARIABLE
        if event.what == "prime":
            code = mdc.PRIME_SHOT
        return code, Quantity(mdc.UNIT_CODES[unit], number)

    def _kept(
        self,
        at: datetime,
        state: DeviceState,
        kind: int,
        value: Value,
        tlvs: tuple[Tlv, ...],
    ) -> KeptRecord:
        epoch = Tlv(mdc.TIMELINE_EPOCH, U16, state.epoch.to_bytes(2, "little"))
        store = Tlv(mdc.STORE, U32, state.store.to_bytes(4, "little"))
        observation = Observation(
            value,
            type=kind,
            time=self._stamp(at, state).on_timeline(current=False),
            object_id=state.next_number,
            tlvs=(epoch, store, *tlvs),
        )
        message = encode_observation(observation)
        return KeptRecord(state.next_number, state.epoch, message)

    def _stamp(self, at: datetime, state: DeviceState) -> ElapsedTime:
        face = at + timedelta(seconds=state.offset_s)
        return utc_stamp(face, sync_source=SYNC_NONE if state.lost else SYNC_NTP)


def _move(event: PlannedEvent, state: DeviceState) -> Decimal:
    """Return by how many seconds a clock moves: not to before it begins to count."""
    shown_s = (event.at - EPOCH).total_seconds() + state.offset_s
    to_beginning = Decimal(str(-shown_s))
    return to_beginning if event.amount is None else max(event.amount, to_beginning)


def _number(seconds: Decimal) -> Number:
    """Return a span as exactly as a FLOAT's mantissa of 24 bits can say it."""
    unit = PRECISION
    while abs(seconds) / unit > LARGEST_MANTISSA:
        unit = unit.scaleb(1)
    return Number(seconds.quantize(unit))


def _duration(opened: datetime | None, closed: datetime) -> tuple[Tlv, ...]:
    if opened is None:
        return ()
    seconds = min(int((closed - opened).total_seconds()), 2**32 - 1)
    return (Tlv(mdc.OPENING_DURATION, U32, seconds.to_bytes(4, "little")),)


def battery_at(plan: PlannedDevice, at: datetime) -> int:
    """Return the charge in percent by linear interpolation of the plan's curve."""
    curve = plan.battery
    if at <= curve[0][0]:
        return round(curve[0][1])
    for (t0, v0), (t1, v1) in pairwise(curve):
        if t0 <= at <= t1:
            share = (at - t0) / (t1 - t0) if t1 > t0 else 1.0
            return round(v0 + (v1 - v0) * share)
    return round(curve[-1][1])
