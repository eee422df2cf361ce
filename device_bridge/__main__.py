"""python -m device_bridge run | scan | status | decode | simulate | pair"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from device_bridge import bridge
from device_bridge.backend import Backend
from device_bridge.clock import real_now
from device_bridge.errors import BadSettings, BridgeError, MalformedRecord
from device_bridge.gatt.characteristics import READERS, read
from device_bridge.scan import scan
from device_bridge.settings import read_settings, write_token
from device_bridge.status import show
from device_bridge.virtual.stage import simulate

NOT_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """Writes an event and its fields as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in NOT_FIELDS}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 2 refused with a reason on standard error."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter())
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

    make = commands.add_parser("status", help="show this bridge's devices and queue")
    make.add_argument("--once", action="store_true", help="print once and leave")
    make.set_defaults(act=_status)

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
    return _until_stopped(bridge.run(read_settings()))


def _simulate(options: argparse.Namespace) -> int:
    return _until_stopped(simulate(options.plan, options.transport, options.state))


def _scan(options: argparse.Namespace) -> int:
    return _until_stopped(scan(read_settings(), options.seconds))


def _status(options: argparse.Namespace) -> int:
    queue = read_settings().spool / "spool.sqlite"
    with suppress(KeyboardInterrupt):
        show(queue, real_now(), once=options.once)
    return 0


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
