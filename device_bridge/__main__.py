"""python -m device_bridge run | scan | check | decode | simulate | pair"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_bridge import bridge
from device_bridge.backend import Backend
from device_bridge.check.run import check
from device_bridge.errors import BadSettings, BridgeError, MalformedRecord
from device_bridge.gatt.characteristics import READERS, read
from device_bridge.log import EventFormatter
from device_bridge.metrics import measured
from device_bridge.profiles import profile_for
from device_bridge.radio.keys import BondStore
from device_bridge.settings import Settings, read_settings, write_token
from device_bridge.virtual.stage import simulate


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 2 refused with a reason on standard error."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter())
    handler.setLevel(options.log.upper())
    logging.basicConfig(level=options.log.upper(), handlers=[handler])
    # What bumble logs as an error it also raises; it is reported where it is caught.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return options.act(options)
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_bridge",
        description="Reads pill boxes, injectors and wearables and reports to the"
        " backend. Settings: " + (read_settings.__doc__ or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument("--log", default="info", type=str.lower, choices=levels)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    make = commands.add_parser("run", help="bridge until stopped")
    make.set_defaults(act=_run)

    make = commands.add_parser(
        "scan", help="show the devices in range that we can read"
    )
    make.add_argument("--seconds", type=float, default=5.0)
    make.set_defaults(act=_scan)

    make = commands.add_parser(
        "decode",
        help="show what octets mean",
        description="Characteristics: " + ", ".join(READERS),
    )
    make.add_argument("characteristic", nargs="?", help="for example 2A37, or FLOAT")
    make.add_argument("hex", nargs="*", help="one value, or notifications in order")
    make.add_argument("--stored", action="store_true", help="a record number leads")
    make.add_argument("--request", action="store_true", help="written by the client")
    make.add_argument("--vectors", type=Path, help="a JSON file of test vectors")
    make.set_defaults(act=_decode)

    make = commands.add_parser("simulate", help="play virtual devices on an HCI socket")
    make.add_argument("plan", type=Path)
    make.add_argument("--transport", required=True, help="tcp-server:HOST:PORT")
    make.add_argument("--state", type=Path, required=True, help="the devices' memory")
    make.set_defaults(act=_simulate)

    make = commands.add_parser(
        "check",
        help="try a device against the profile, requirement by requirement",
        description="Tries every requirement of device_bridge/PROFILE.md. The device"
        " must be ready to pair. Exit code 0: nothing failed, 1: something did.",
    )
    make.add_argument("device", help="its address, or the name it advertises")
    make.add_argument("--json", action="store_true", help="one JSON object at the end")
    make.add_argument(
        "--changes",
        action="store_true",
        help="also delete stored records, and move its clock by a minute and back",
    )
    make.set_defaults(act=_check)

    make = commands.add_parser("pair", help="get a token for a pairing code")
    make.add_argument("code")
    make.add_argument("--name", default="bridge", help="what operators see")
    make.set_defaults(act=_pair)
    return parser


def _until_stopped(work: Coroutine[Any, Any, None]) -> int:
    async def running() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()

    try:
        asyncio.run(running())
    except* BridgeError as group:
        raise group.exceptions[0] from group
    return 0


def _run(_options: argparse.Namespace) -> int:
    settings = read_settings()
    with measured(settings.metrics_port, settings.spool):
        return _until_stopped(bridge.run(settings))


def _simulate(options: argparse.Namespace) -> int:
    return _until_stopped(simulate(options.plan, options.transport, options.state))


def _scan(options: argparse.Namespace) -> int:
    return _until_stopped(_show_devices(read_settings(), options.seconds))


async def _show_devices(settings: Settings, seconds: float) -> None:
    shown: set[str] = set()

    def heard(found: BLEDevice, advertised: AdvertisementData) -> None:
        profile = profile_for(advertised.service_uuids)
        if profile is not None and found.address not in shown:
            shown.add(found.address)
            print(f"{found.address}  {advertised.rssi} dBm  {profile.name}", flush=True)

    bonds = BondStore(settings.spool / "bonds.sqlite")
    async with (
        bridge.bluetooth(settings.hci, bonds) as stack,
        BleakScanner(heard, scanning_mode=stack.mode, backend=stack.scanner),
    ):
        await asyncio.sleep(seconds)
    bonds.close()


def _decode(options: argparse.Namespace) -> int:
    if options.vectors is not None:
        for line in _decoded_vectors(options.vectors):
            print(line)
        return 0
    if options.characteristic is None or options.characteristic.upper() not in READERS:
        raise BadSettings(f"characteristic: want one of {', '.join(READERS)}")
    context = {
        "stored": options.stored,
        "direction": "client_to_server" if options.request else "server_to_client",
    }
    try:
        values = [bytes.fromhex(value) for value in options.hex]
    except ValueError as error:
        raise BadSettings(f"octets: {error}") from error
    print(json.dumps(read(options.characteristic, values, context), indent=1))
    return 0


def _decoded_vectors(path: Path) -> list[str]:
    """Return a line of JSON a vector; raises BadSettings for another kind of file."""
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
        return [
            json.dumps({"id": item["id"], "decoded": _decoded_vector(item)})
            for item in items
        ]
    except OSError as error:
        raise BadSettings(f"vectors: {path}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadSettings(f"vectors: {path}: not test vectors: {error!r}") from error


def _decoded_vector(item: dict[str, Any]) -> dict[str, Any]:
    name = str(item["characteristic"])
    key = next((f for f in ("SFLOAT", "FLOAT") if f in name), name.rpartition("0x")[2])
    if key not in READERS:
        return {"unsupported": name}
    stated = item["hex"]
    values = [
        bytes.fromhex(v) for v in ([stated] if isinstance(stated, str) else stated)
    ]
    try:
        return read(key, values, item.get("context") or {})
    except MalformedRecord as error:
        return {"error": error.why}


def _check(options: argparse.Namespace) -> int:
    settings = read_settings()
    trying = check(
        options.device, settings.hci, changes=options.changes, as_json=options.json
    )
    return asyncio.run(trying)


def _pair(options: argparse.Namespace) -> int:
    settings = read_settings()
    path = settings.token_file
    if path is None:
        raise BadSettings("set DOSELOOP_BRIDGE_TOKEN_FILE: where to keep the token")

    async def pairing() -> None:
        backend = Backend(settings.backend, "")
        answer = await backend.pair(options.code, options.name)
        await backend.close()
        write_token(path, answer)
        print(f"paired as {answer['bridge_id']}, token in {path}")

    asyncio.run(pairing())
    return 0


if __name__ == "__main__":
    sys.exit(main())
