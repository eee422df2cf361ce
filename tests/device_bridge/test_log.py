"""What is logged: events as JSON, and nothing that names a person or a device."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from device_bridge.errors import MalformedRecord
from device_bridge.log import EventFormatter
from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    past,
    until,
)

ADDRESS = "C4:D1:9D:D0:9F:23"


def line(event: str, **fields: object) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": event, "levelname": "INFO"} | fields)
    return json.loads(EventFormatter().format(record))


def test_an_event_is_a_line_of_json_with_its_fields() -> None:
    device = "a24c10c2-708c-5d12-9106-be065fdad1df"

    told = line("clock set", device=device, was=1.5)

    assert (told["event"], told["device"], told["was"]) == ("clock set", device, 1.5)
    assert told["level"] == "info"


def test_addresses_and_octets_are_struck_out_wherever_they_stand() -> None:
    octets = "0700000002210013020" * 2
    fields: dict[str, object] = {
        "why": f"{ADDRESS}: link ended",
        "path": "/org/bluez/hci0/dev_C4_D1_9D_D0_9F_23",
        "octets": "0700",
        "serial": "SN-1",
        "said": f"unreadable in {octets}",
    }

    told = json.dumps(line("link ended", **fields))

    for secret in (ADDRESS, "C4_D1", octets, "0700", "SN-1"):
        assert secret not in told
    assert "[address]: link ended" in told


def test_a_trace_holds_no_record() -> None:
    try:
        raise MalformedRecord("GHS", bytes(range(30)), "too short")
    except MalformedRecord:
        told = json.dumps(line("failed", exc_info=sys.exc_info()))

    assert "too short" in told
    assert bytes(range(30)).hex() not in told


def test_a_bridge_at_work_logs_neither_serial_nor_address_nor_record(
    tmp_path: Path,
) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(EventFormatter().format(record))

    log, kept = logging.getLogger("device_bridge"), Kept()
    plan = a_plan([a_device("SERIAL-4711", past(5, now()))])

    async def story() -> list[str]:
        async with devices_and_backend(plan, tmp_path) as world, a_bridge(world):
            await until(lambda: world.backend.heard)
            found = world.memory.bonds("SERIAL-4711")
            for controller in list(world.air.controllers):
                addresses.append(controller.random_address.to_string(False))
            return [peer for peer, _ in found]

    addresses: list[str] = []
    log.addHandler(kept)
    level, _ = log.level, log.setLevel(logging.DEBUG)
    try:
        addresses += asyncio.run(story())
    finally:
        log.removeHandler(kept)
        log.setLevel(level)

    told = "\n".join(lines)
    assert any("connected" in one for one in lines)
    for secret in ("SERIAL-4711", "Acme", *addresses):
        assert secret.partition("/")[0] not in told
