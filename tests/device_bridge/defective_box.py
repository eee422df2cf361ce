"""Boxes that break one requirement of the profile each, and one that breaks none."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from bumble import smp
from bumble.device import Connection
from bumble.gatt import Characteristic
from bumble.pairing import PairingConfig, PairingDelegate

from device_bridge.virtual.air import Air
from device_bridge.virtual.memory import KeptRecord, Memory
from device_bridge.virtual.plan import PlannedDevice
from device_bridge.virtual.server import (
    GattDevice,
    Reading,
    Writing,
)
from device_bridge.virtual.stage import Performer

Properties = Characteristic.Properties
Changing = Callable[[bytes], bytes]
Keeping = Callable[[int, bytes], bytes | None]
Telling = Callable[[str, bytes], Sequence[bytes]]
WritesInstead = Callable[[Writing, Connection, bytes], None]


def _as_it_is(_where: str, value: bytes) -> Sequence[bytes]:
    return (value,)


@dataclass(frozen=True)
class Defect:
    """What a box does wrong, and the requirements that it must fail, no others.

    `tells`: what it sends instead of a notification or indication. `writes`: what it
    does with what is written. `keeps`: what becomes of a record that it keeps.
    """

    name: str
    fails: Set[str]
    advertises: Changing = bytes
    lacks: Set[str] = frozenset()
    without: Mapping[str, Properties] = field(default_factory=dict[str, Properties])
    reads: Mapping[str, Changing] = field(default_factory=dict[str, Changing])
    writes: Mapping[str, WritesInstead] = field(
        default_factory=dict[str, WritesInstead]
    )
    tells: Telling = _as_it_is
    keeps: Keeping | None = None
    open_to_all: bool = False
    legacy: bool = False
    pairs: bool = True
    forgets: bool = False
    needs_no_indications: bool = False


class DefectiveGatt(GattDevice):
    """A device with one defect."""

    def __init__(
        self, defect: Defect, plan: PlannedDevice, memory: Memory, air: Air
    ) -> None:
        self._defect = defect
        super().__init__(plan, memory, air)
        if defect.legacy:
            self.device.smp_session_proxy = smp.Session
        if not defect.pairs:
            self.device.pairing_config_factory = _unwilling
        if defect.forgets:
            self.device.on("connection", self._forget_at_the_end)

    def _forget_at_the_end(self, connection: Connection) -> None:
        def forget(_reason: int) -> None:
            self.memory.drop_bond(self.plan.serial, str(connection.peer_address))

        connection.on("disconnection", forget)

    def characteristic(
        self,
        uuid_text: str,
        properties: Characteristic.Properties,
        *,
        read: Reading | None = None,
        write: Writing | None = None,
        encrypted: bool = False,
    ) -> Characteristic[bytes]:
        defect = self._defect
        if (change := defect.reads.get(uuid_text)) and read is not None:
            read = _changed(read, change)
        if (instead := defect.writes.get(uuid_text)) and write is not None:
            write = _instead(write, instead)
        missing = defect.without.get(uuid_text, Characteristic.Properties(0))
        return super().characteristic(
            uuid_text,
            properties & ~missing,
            read=read,
            write=write,
            encrypted=encrypted and not defect.open_to_all,
        )

    def add(self, service: str, characteristics: Sequence[Characteristic[Any]]) -> None:
        lacking = [self.characteristics.get(where) for where in self._defect.lacks]
        super().add(service, [c for c in characteristics if c not in lacking])

    def subscribed(self, connection: Connection, uuid_text: str, how: int) -> bool:
        known = super().subscribed(connection, uuid_text, how)
        return known or self._defect.needs_no_indications

    async def notify(
        self, connection: Connection, uuid_text: str, value: bytes
    ) -> None:
        for told in self._defect.tells(uuid_text, value):
            await super().notify(connection, uuid_text, told)

    async def indicate(
        self, connection: Connection, uuid_text: str, value: bytes
    ) -> None:
        for told in self._defect.tells(uuid_text, value):
            await super().indicate(connection, uuid_text, told)


def _unwilling(_connection: Connection) -> PairingConfig:
    return PairingConfig(delegate=Unwilling())


class Unwilling(PairingDelegate):
    """Pairs with nobody."""

    async def accept(self) -> bool:
        return False


def _changed(read: Reading, change: Callable[[bytes], bytes]) -> Reading:
    return lambda connection: change(read(connection))


def _instead(write: Writing, instead: WritesInstead) -> Writing:
    return lambda connection, value: instead(write, connection, value)


class Defective:
    """A performer that advertises and remembers as its defect has it."""

    def __init__(self, performer: Performer, defect: Defect) -> None:
        self._performer = performer
        self._advertises = defect.advertises
        self.gatt = performer.gatt
        self.recorder = performer.recorder
        self.linked = performer.linked
        self.unlinked = performer.unlinked
        self.next_due = performer.next_due
        self.act = performer.act

    @property
    def advertising_data(self) -> bytes:
        return self._advertises(self._performer.advertising_data)


def spoil(memory: Memory, serial: str, defect: Defect) -> None:
    """Let what is stored become what the defect makes of it."""
    if defect.keeps is None:
        return
    state = memory.state(serial)
    kept: list[KeptRecord] = []
    for record in memory.records(serial):
        message = defect.keeps(record.number, record.message)
        if message is not None:
            kept.append(replace(record, message=message))
    memory.forget(serial, state)
    memory.append(serial, kept, state)
