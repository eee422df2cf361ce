"""How to read each device family: one module a family, found by its PROFILE."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from device_bridge.measurement import Measurement

Decode = Callable[[bytes], Measurement]


@dataclass(frozen=True, slots=True)
class Profile:
    """A device family.

    `matches` looks at the service UUIDs of an advertisement. `decoders` read the values
    of characteristics (128-bit text UUID). `stores_records` says that the device keeps
    records to fetch and acknowledge; otherwise its notifications are all there is, and
    its decoders return a Measurement.
    `canonical` frees a record's octets of what may change between two readings.
    """

    name: str
    matches: Callable[[Sequence[str]], bool]
    decoders: Mapping[str, Callable[[bytes], Any]]
    stores_records: bool
    canonical: Callable[[bytes], bytes] = bytes


@cache
def discovered() -> tuple[Profile, ...]:
    """Return the profiles of all modules in this package, by name."""
    modules = [import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)]
    profiles: list[Profile] = [module.PROFILE for module in modules]
    return tuple(sorted(profiles, key=lambda profile: profile.name))


@cache
def sample_decoders() -> Mapping[str, Decode]:
    """Return how to read what devices without records notify, by characteristic."""
    profiles = [profile for profile in discovered() if not profile.stores_records]
    return {
        uuid: read for profile in profiles for uuid, read in profile.decoders.items()
    }


def profile_for(service_uuids: Sequence[str]) -> Profile | None:
    """Return a profile that knows a device advertising these services.

    Of several, one that stores records: what is not fetched and acknowledged is lost.
    """
    known = [profile for profile in discovered() if profile.matches(service_uuids)]
    return min(known, key=lambda profile: not profile.stores_records, default=None)


def profile_named(name: str) -> Profile:
    """Return a profile by its name; raises KeyError."""
    return _by_name()[name]


@cache
def _by_name() -> Mapping[str, Profile]:
    return {profile.name: profile for profile in discovered()}
