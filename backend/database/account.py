"""Which account runs the server: PostgreSQL refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from backend.errors import Refused

# Debian's and macOS's account for exactly this, then the one that every system has.
KNOWN = ("postgres", "_postgres", "nobody")


class NoAccount(Refused):
    """Root has no unprivileged account to run the server as."""


class ChildIdentity(TypedDict, total=False):
    """Subprocess arguments that say who the child is."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An existing account that is not root; `own` when it is the one we run as."""

    name: str
    uid: int
    gid: int
    own: bool

    def as_child(self) -> ChildIdentity:
        """Return the subprocess arguments that make a child run as this account."""
        if self.own:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, *paths: Path) -> None:
        """Make this account the owner of the paths; nothing when it is our own."""
        for path in paths if not self.own else ():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, path: Path) -> bool:
        """Tell whether this account can read and enter `path`, by trying it."""
        if self.own:
            return os.access(path, os.R_OK | os.X_OK)
        test = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", 'test -r "$1" && test -x "$1"', "sh", str(path)],
            cwd="/",
            check=False,
            **self.as_child(),
        )
        return test.returncode == 0


def choose(cluster: Path, wanted: str | None) -> Account:
    """Return the account for the server whose files lie, or will lie, in `cluster`.

    A normal user runs it himself. Root takes the owner of the existing files, then the
    account that was asked for, then the first known one. No account is created.
    """
    if os.geteuid() != 0:
        return _account(os.geteuid(), own=True)
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        return _account(owner, own=False)
    for name in (wanted,) if wanted else KNOWN:
        if (uid := _uid(name)) is not None:
            return _account(uid, own=False)
    raise NoAccount(
        f"No account named {wanted or ', '.join(KNOWN)} to run the database as: "
        "name one that is not root in DOSELOOP_DATABASE_USER."
    )


def operator() -> str:
    """Return the name of the account this process runs as."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid or None
    except KeyError:
        return None


def _account(uid: int, *, own: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise NoAccount(
            f"User id {uid} has no entry in /etc/passwd, which PostgreSQL needs."
        ) from None
    return Account(entry.pw_name, uid, entry.pw_gid, own)
