"""python -m device_bridge run | scan | status | check | decode | simulate | pair"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from device_bridge import bridge, decode
from device_bridge.backend import Backend
from device_bridge.check.run import check
from device_bridge.clock import real_now
from device_bridge.errors import BadSettings, BridgeError
from device_bridge.log import EventFormatter
from device_bridge.metrics import measured
from device_bridge.scan import scan
from device_bridge.settings import read_settings, write_token
from device_bridge.status import show
from device_bridge.virtual.stage import simulate


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 2 refused with a reason on standard error."""
    parser = _parser()
    options, behind = parser.parse_known_args(arguments)
    if behind and not decode.takes(options, behind):
        parser.error(f"unrecognized arguments: {' '.join(behind)}")
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

    make = commands.add_parser("status", help="show this bridge's devices and queue")
    make.add_argument("--once", action="store_true", help="print once and leave")
    make.set_defaults(act=_status)

    make = commands.add_parser("decode", help="show what octets mean")
    decode.add_options(make)
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
    _collect_seldom()
    with measured(settings.metrics_port, settings.spool):
        return _until_stopped(bridge.run(settings))


def _collect_seldom() -> None:
    """Let the garbage collector leave alone what is loaded, and look less often.

    Records are freed by counting references; looking for cycles among a transfer's was
    a tenth of its CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


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
    for line in decode.lines(options):
        print(line)
    return 0


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
