"""A glucose meter as bleak shows it, with a memory that is asked for."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bleak.backends.characteristic import BleakGATTCharacteristic

from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from tests.device_bridge.fake_sensor import FakeSensor, date_time

GLUCOSE_SERVICE, MEASUREMENT, ACCESS = 0x1808, 0x2A18, 0x2A52


def a_reading(
    number: int, face: datetime, *, mass: int = 95, kind: int = 1, status: int = 0
) -> bytes:
    """Return a reading of `mass` mg/dL in finger blood, an hour after its base time."""
    flags = 0x0B
    concentration = (mass | 0xB000).to_bytes(2, "little")  # times 10^-5 kg/L
    return (
        bytes([flags])
        + number.to_bytes(2, "little")
        + date_time(face - timedelta(hours=1))
        + (60).to_bytes(2, "little")
        + concentration
        + bytes([0x10 | kind])
        + status.to_bytes(2, "little")
    )


@dataclass
class FakeMeter(FakeSensor):
    """What a meter stores, and how it fails: the `withheld` are counted, never sent.

    So many records are `together` in a value. `meanwhile` happens when it is asked.
    """

    tells: tuple[int, ...] = (MEASUREMENT, ACCESS)
    service: int = GLUCOSE_SERVICE
    records: dict[int, bytes] = field(default_factory=dict[int, bytes])
    withheld: set[int] = field(default_factory=set[int])
    counts: bool = True
    knows_bounds: bool = True
    knows_upper: bool = True
    measurement: int = MEASUREMENT
    together: int = 1
    meanwhile: Callable[[racp.Request], None] = lambda _: None
    requests: list[racp.Request] = field(default_factory=list[racp.Request])
    sent: int = 0

    async def write_gatt_char(
        self, which: BleakGATTCharacteristic, value: bytes, *, response: bool
    ) -> None:
        assert response
        assert which.uuid.startswith(f"0000{ACCESS:04x}")
        request = racp.decode_request(value, 2)
        self.requests.append(request)
        self.meanwhile(request)
        asyncio.get_running_loop().call_soon(self._act, request)

    def _act(self, request: racp.Request) -> None:
        low, high = request.minimum or 0, request.maximum
        numbers = [
            n for n in sorted(self.records) if low <= n and (high is None or n <= high)
        ]
        if request.opcode is Opcode.REPORT_NUMBER and not self.counts:
            self._code(request, ResponseCode.OPCODE_NOT_SUPPORTED)
        elif not self._knows(request.operator):
            self._code(request, ResponseCode.OPERATOR_NOT_SUPPORTED)
        elif request.opcode is Opcode.REPORT_NUMBER:
            count = len(numbers).to_bytes(2, "little")
            self.tell(ACCESS, bytes([Opcode.NUMBER_RESPONSE, 0]) + count)
        elif not numbers:
            self._code(request, ResponseCode.NO_RECORDS)
        else:
            self._report(numbers)
            self._code(request, ResponseCode.SUCCESS)

    def _knows(self, operator: Operator) -> bool:
        if operator is Operator.LESS_OR_EQUAL:
            return self.knows_bounds and self.knows_upper
        return self.knows_bounds or operator is Operator.ALL

    def _report(self, numbers: Iterable[int]) -> None:
        sent = [self.records[n] for n in numbers if n not in self.withheld]
        self.sent += len(sent)
        for at in range(0, len(sent), self.together):
            self.tell(self.measurement, b"".join(sent[at : at + self.together]))

    def _code(self, request: racp.Request, code: ResponseCode) -> None:
        answer = racp.Answer(Opcode.RESPONSE_CODE, request=request.opcode, code=code)
        self.tell(ACCESS, answer.encode())
