"""What a requirement is, and what trying it can give."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from device_bridge.check.box import Box


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    UNTESTED = "untested"


class Broken(Exception):
    """The device does not do what is required; says what it did instead."""


class Untested(Exception):
    """Whether the device does it cannot be seen here and now; says why."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered sentence of the profile, and how it is tried.

    `attempt` returns when the device meets it, and raises Broken or Untested.
    """

    number: str
    text: str
    attempt: Callable[[Box], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out for one requirement; `why` is empty when it is met."""

    number: str
    text: str
    verdict: Verdict
    why: str


def want(condition: object, otherwise: str) -> None:
    """Raise Broken with the reason unless the condition holds."""
    if not condition:
        raise Broken(otherwise)
