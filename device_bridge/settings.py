"""What the environment tells the bridge: DOSELOOP_BRIDGE_*."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from device_bridge.errors import BadSettings

PREFIX = "DOSELOOP_BRIDGE_"
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """`hci` is a bumble transport, or empty for the system's Bluetooth (BlueZ)."""

    backend: str
    token: str | None
    token_file: Path | None
    spool: Path
    hci: str
    max_links: int
    spool_octets: int = 512 * MEBIBYTE


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raises BadSettings that names the variable.

    BACKEND: address of the backend (http://127.0.0.1:8000).
    TOKEN or TOKEN_FILE: the bridge's token; the file is what `pair` writes, it is read
    again when the token is refused and rewritten when it is rotated.
    SPOOL: directory for the queue and the bonds (default ./bridge-spool).
    SPOOL_MB: how large the queue may grow, in MiB (default 512). Beyond it devices keep
    their records.
    HCI: tcp-client:HOST:PORT, usb:0 ... (default: the system's Bluetooth); several
    adapters with blanks between.
    MAX_LINKS: links held at a time (default 100 with HCI, 7 with the system's).
    """

    def of(name: str) -> str:
        return environment.get(PREFIX + name, "").strip()

    backend = of("BACKEND") or "http://127.0.0.1:8000"
    if not backend.startswith(("http://", "https://")):
        raise BadSettings(f"{PREFIX}BACKEND: want an http(s) address, got {backend!r}")

    def number(name: str, otherwise: str) -> int:
        text = of(name) or otherwise
        if not text.isdecimal() or not int(text):
            raise BadSettings(f"{PREFIX}{name}: want a number above 0, got {text!r}")
        return int(text)

    return Settings(
        backend=backend.rstrip("/"),
        token=of("TOKEN") or None,
        token_file=Path(of("TOKEN_FILE")) if of("TOKEN_FILE") else None,
        spool=Path(of("SPOOL") or "bridge-spool"),
        hci=of("HCI"),
        max_links=number("MAX_LINKS", "100" if of("HCI") else "7"),
        spool_octets=number("SPOOL_MB", "512") * MEBIBYTE,
    )


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `expires_at` is None when nobody said."""

    text: str
    expires_at: datetime | None


def read_token(settings: Settings) -> Token:
    """Return the token; the file counts before the variable. Raises BadSettings."""
    path = settings.token_file
    if path is not None and path.exists():
        text = path.read_text(encoding="utf-8").strip()
        if not text.startswith("{"):
            return Token(text, None)
        return _token(path, text)
    if settings.token:
        return Token(settings.token, None)
    raise BadSettings(
        f"no token: set {PREFIX}TOKEN, or pair and set {PREFIX}TOKEN_FILE"
    )


def _token(path: Path, text: str) -> Token:
    try:
        kept: dict[str, Any] = json.loads(text)
        expires = kept.get("expires_at")
        until = datetime.fromisoformat(expires) if expires else None
        return Token(kept["token"], until)
    except (ValueError, KeyError, TypeError) as error:
        raise BadSettings(f"{path}: no token that can be read") from error


def write_token(path: Path, answer: Mapping[str, Any]) -> None:
    """Keep what pairing or rotation answered, readable by the owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(dict(answer)), encoding="utf-8")
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)
