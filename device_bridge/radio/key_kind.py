"""How BlueZ's bond with a peripheral was made: told without the key.

BlueZ says over D-Bus that a peripheral is paired, not how, and nobody but root may read
what it keeps. So this module is a service too, with root's name and none of its powers
(deploy/doseloop-bonds.socket): it reads a line of two addresses, the adapter's and the
peripheral's, and answers with one word. It imports nothing that it does not need.
"""

import re
import sys
from configparser import ConfigParser, Error
from enum import StrEnum
from pathlib import Path

KEPT = Path("/var/lib/bluetooth")
ADDRESS = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
LINE = 64  # octets; two addresses are 36
KEYS = ("LongTermKey", "PeripheralLongTermKey", "SlaveLongTermKey")
# "Authenticated" is the kernel's type of key (BlueZ doc/mgmt-api.txt, Load Long Term
# Keys): 2 and 3 come of LE Secure Connections, 0 and 1 of legacy pairing, 4 is public.
BY_SECURE_CONNECTIONS = {"2", "3"}
WHOLE = "16"  # octets: Secure Connections know no shorter key


class KeyKind(StrEnum):
    """How the keys of a bond came about; `NONE` without a bond."""

    SECURE = "secure"
    LEGACY = "legacy"
    NONE = "none"


def kind_of(adapter: str, peripheral: str, kept: Path = KEPT) -> KeyKind:
    """Return what an adapter's bond with a peripheral is worth, by their addresses.

    One weak key makes a weak bond. Raises PermissionError where only root may read, and
    ValueError when an address or the file is none.
    """
    if not (ADDRESS.fullmatch(adapter) and ADDRESS.fullmatch(peripheral)):
        raise ValueError("want the addresses of an adapter and of a peripheral")
    read = ConfigParser(interpolation=None, strict=False)
    try:
        read.read_string((kept / adapter / peripheral / "info").read_text())
    except FileNotFoundError:
        return KeyKind.NONE
    except Error as error:
        raise ValueError("BlueZ's file cannot be read") from error
    keys = [read[name] for name in KEYS if read.has_section(name)]
    if not keys:
        return KeyKind.NONE
    sound = all(
        key.get("Authenticated") in BY_SECURE_CONNECTIONS
        and key.get("EncSize") == WHOLE
        for key in keys
    )
    return KeyKind.SECURE if sound else KeyKind.LEGACY


def main() -> int:
    """Answer one question on standard input; 1 for what is none."""
    try:
        adapter, peripheral = sys.stdin.readline(LINE).split()
        print(kind_of(adapter, peripheral), flush=True)  # noqa: T201  the answer
    except (ValueError, OSError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
