"""python -m device_bridge check: finds a device, tries every requirement, says so."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from device_bridge.check.box import Box
from device_bridge.check.changes import CHANGES
from device_bridge.check.clock import CLOCK
from device_bridge.check.live import LIVE
from device_bridge.check.offered import OFFERED
from device_bridge.check.pairing import BONDED, LEGACY, PAIRING
from device_bridge.check.records import RECORDS
from device_bridge.check.requirement import (
    Broken,
    Finding,
    Requirement,
    Untested,
    Verdict,
)
from device_bridge.check.transfer import TRANSFER
from device_bridge.errors import BridgeError, LostPeripheral, MalformedRecord
from device_bridge.radio.adapter import Radio, open_radio
from device_bridge.radio.bluez import system_radios
from device_bridge.radio.client import client_on
from device_bridge.radio.keys import BondStore
from device_bridge.radio.scanner import scanner_on
from device_bridge.radio.stack import Stack

LINKS: tuple[tuple[Requirement, ...], ...] = (
    LEGACY,
    (*OFFERED, *PAIRING, *TRANSFER, *RECORDS, *CLOCK, *LIVE, *CHANGES),
    BONDED,
)
BEFORE_PAIRING = {*LEGACY, *OFFERED, *PAIRING}
REQUIREMENTS = tuple(requirement for link in LINKS for requirement in link)
HEARD_WITHIN = 15.0
ATTEMPT_WITHIN = 60.0
NOT_ASKED = "would change the device: --changes"


@dataclass(frozen=True, slots=True)
class Report:
    """All findings about one device."""

    device: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Return whether nothing that was tried has failed."""
        return not any(f.verdict is Verdict.FAIL for f in self.findings)

    def count(self, verdict: Verdict) -> int:
        """Return how many findings have that verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def summary(self) -> str:
        """Return the counts in words."""
        return ", ".join(f"{self.count(verdict)} {verdict}" for verdict in Verdict)

    def as_json(self) -> str:
        """Return the report as one JSON object."""
        body: dict[str, Any] = {"device": self.device, "passed": self.passed}
        body["findings"] = [asdict(finding) for finding in self.findings]
        return json.dumps(body, indent=1)


def line_of(finding: Finding) -> str:
    """Return a finding as a line to read."""
    word = (
        finding.verdict.upper() if finding.verdict is Verdict.FAIL else finding.verdict
    )
    why = f"  [{finding.why}]" if finding.why else ""
    return f"{word:<8} {finding.number:<4} {finding.text}{why}"


async def examine(box: Box) -> AsyncGenerator[Finding]:
    """Yield what comes out for each requirement, in order.

    Raises LostPeripheral when the device cannot be connected at all.
    """
    for requirements in LINKS:
        try:
            async with box.linked():
                for requirement in requirements:
                    yield await _tried(box, requirement)
        except (BleakError, BridgeError, TimeoutError) as error:
            if requirements is not BONDED:
                raise LostPeripheral(box.found.address, f"no link: {error}") from error
            for left in requirements:
                yield _finding(left, Verdict.FAIL, f"no link: {error}")


async def _tried(box: Box, requirement: Requirement) -> Finding:
    if why := _hindrance(box, requirement):
        return _finding(requirement, Verdict.UNTESTED, why)
    try:
        async with asyncio.timeout(ATTEMPT_WITHIN):
            await requirement.attempt(box)
    except Untested as why:
        return _finding(requirement, Verdict.UNTESTED, str(why))
    except (Broken, BleakError, BridgeError, TimeoutError) as error:
        return _finding(requirement, Verdict.FAIL, _said(error))
    return _finding(requirement, Verdict.PASS, "")


def _hindrance(box: Box, requirement: Requirement) -> str:
    """Return why a requirement cannot be tried, nothing if it can."""
    if requirement in CHANGES and not box.changes:
        return NOT_ASKED
    if not box.is_linked:
        return "the link had ended"
    if not box.paired and requirement not in BEFORE_PAIRING:
        return "it has not paired"
    return ""


def _said(error: Exception) -> str:
    match error:
        case LostPeripheral():
            return error.why
        case MalformedRecord():
            return f"{error.profile}: {error.why}"
        case TimeoutError():
            return f"no end of it within {ATTEMPT_WITHIN:g} s"
        case _:
            return str(error)


def _finding(requirement: Requirement, verdict: Verdict, why: str) -> Finding:
    return Finding(requirement.number, requirement.text, verdict, why)


@asynccontextmanager
async def found(
    name: str, hci: str, *, changes: bool, within: float = HEARD_WITHIN
) -> AsyncGenerator[Box]:
    """Yield the device of an address or advertised name.

    Raises LostPeripheral when it is not heard, LostRadio or BleakError without a radio.
    The bonds made here are forgotten here: the device meets a central it does not know.
    """
    if not hci:
        async with system_radios() as stacks:
            box = await _heard(name, stacks[0], None, within, changes=changes)
            yield box
            if box.fresh:
                await box.forget()
        return
    with TemporaryDirectory() as folder:
        bonds = BondStore(Path(folder) / "bonds.sqlite")
        radio = await open_radio(hci, bonds)
        stack = Stack(client_on(radio), scanner_on(radio), "passive", radio.lost)
        try:
            yield await _heard(name, stack, radio, within, changes=changes)
        finally:
            await radio.close()
            bonds.close()


async def _heard(
    name: str, stack: Stack, radio: Radio | None, within: float, *, changes: bool
) -> Box:
    heard: asyncio.Queue[tuple[BLEDevice, AdvertisementData]] = asyncio.Queue()

    def hear(device: BLEDevice, advertised: AdvertisementData) -> None:
        if name.casefold() in (
            device.address.casefold(),
            (device.name or "").casefold(),
        ):
            heard.put_nowait((device, advertised))

    try:
        async with stack.listen(hear), asyncio.timeout(within):
            device, advertised = await heard.get()
    except TimeoutError:
        raise LostPeripheral(name, f"not heard within {within:g} s") from None
    fresh = radio is not None or not stack.knows(advertised)
    return Box(device, advertised, stack.client, radio, changes, fresh=fresh)


async def check(name: str, hci: str, *, changes: bool, as_json: bool) -> int:
    """Examine a device and print what was found; return 0 if nothing failed, else 1.

    Raises BridgeError when it cannot be examined.
    """
    findings: list[Finding] = []
    try:
        async with found(name, hci, changes=changes) as box:
            async for finding in examine(box):
                findings.append(finding)
                if not as_json:
                    _say(line_of(finding))
    except BleakError as error:
        raise LostPeripheral(name, str(error)) from error
    report = Report(name, tuple(findings))
    _say(report.as_json() if as_json else report.summary)
    return 0 if report.passed else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  the command's answer
