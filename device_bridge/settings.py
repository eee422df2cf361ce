"""What the environment and a file tell the bridge: DOSELOOP_BRIDGE_*."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from device_bridge.errors import BadSettings

PREFIX = "DOSELOOP_BRIDGE_"
IN_FILE = {
    *("backend", "token_file", "spool", "spool_mb", "hci"),
    *("max_links", "metrics_port"),
}
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
    metrics_port: int | None = None
    spool_octets: int = 512 * MEBIBYTE


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raises BadSettings that names the variable.

    CONFIG: a TOML file with any of the following, in lower case; what the environment
    says counts before it.

    BACKEND: address of the backend (http://127.0.0.1:8000).
    TOKEN or TOKEN_FILE: the bridge's token; the file is what `pair` writes, it is read
    again when the token is refused and rewritten when it is rotated.
    SPOOL: directory for the queue and the bonds (default ./bridge-spool).
    SPOOL_MB: how large the queue may grow, in MiB (default 512). Beyond it devices keep
     their records.
    HCI: tcp-client:HOST:PORT, usb:0 ... (default: the system's Bluetooth); several
     adapters with blanks between.
    METRICS_PORT: port on the loopback for Prometheus (default: none).
    MAX_LINKS: links held at a time (default 100 with HCI, 7 with the system's).
    """

    written = _written(environment.get(f"{PREFIX}CONFIG", "").strip())

    def of(name: str) -> str:
        return environment.get(PREFIX + name, "").strip() or written.get(name, "")

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
        metrics_port=_port(of("METRICS_PORT")),
        spool_octets=number("SPOOL_MB", "512") * MEBIBYTE,
    )


def _port(text: str) -> int | None:
    if text and not (text.isdigit() and 0 < int(text) < 2**16):
        raise BadSettings(f"{PREFIX}METRICS_PORT: want 1 to 65535, got {text!r}")
    return int(text) if text else None


def _written(path: str) -> dict[str, str]:
    """Return what a file sets, by the variables' names; nothing without a file."""
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            read: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: {error}") from error
    if unknown := read.keys() - IN_FILE:
        raise BadSettings(f"{path}: unknown {', '.join(sorted(unknown))}")
    for name, value in read.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise BadSettings(f"{path}: {name}: want a text or a number")
    return {name.upper(): str(value) for name, value in read.items()}


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
