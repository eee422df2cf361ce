"""The rules of the house that no linter knows."""

import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from backend.__main__ import COMMANDS
from backend.settings import Settings

PROJECT = Path(__file__).parents[1]
PACKAGES = "analytics", "backend", "device_bridge", "notifications"
LONGEST = 400
BANNED = {
    *("service", "services", "manager", "managers", "helper", "helpers", "util"),
    *("utils", "common", "core", "base", "crud"),
}
# Alembic writes one file a version, as long as the schema, and nobody edits it later.
AS_WRITTEN = "backend/migrations/versions/"
READ_BY_PEOPLE = {".py", ".html", ".css", ".js", ".toml", ".md", ".mako"}
PLUG_INS = {
    "device_bridge.profiles": "PROFILE",
    "notifications.channels": "CHANNEL",
    "analytics.detectors": "DETECTOR",
}
ON_ONE_MACHINE = re.compile(r"/(?:home|Users)/\w|/root/\w|/work/\w|[A-Z]:\\Users")


def tracked() -> list[Path]:
    """Return the files of the repository; all there are where git is not at hand."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=False
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().rstrip("\0").split("\0")
        return [path for name in names if (path := PROJECT / name).is_file()]
    return [
        path
        for path in PROJECT.rglob("*")
        if path.is_file() and not any(part == ".venv" for part in path.parts)
    ]


def named(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path.suffix in READ_BY_PEOPLE or path.name in {"Makefile", "run"}:
            yield named(path), path.read_text()


def test_no_file_is_too_long_to_read() -> None:
    long = {
        name: lines
        for name, text in texts()
        if (lines := text.count("\n")) > LONGEST and not name.startswith(AS_WRITTEN)
    }

    assert long == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = [
        named(path)
        for path in tracked()
        if path.suffix == ".py"
        and any(
            word in BANNED
            for part in path.relative_to(PROJECT).with_suffix("").parts
            for word in part.split("_")
        )
    ]

    assert vague == []


def test_nothing_lies_deeper_than_three_folders() -> None:
    deep = [
        named(path)
        for path in tracked()
        if named(path).startswith(PACKAGES) and named(path).count("/") > 3
    ]

    assert deep == []


def plug_ins() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for package, thing in PLUG_INS.items():
        folder = PROJECT.joinpath(*package.split("."))
        found += [
            (f"{package}.{module.name}", thing)
            for module in iter_modules([str(folder)])
        ]
    return found


@pytest.mark.parametrize(("module", "thing"), plug_ins())
def test_every_plug_in_defines_what_it_is_found_by(module: str, thing: str) -> None:
    assert hasattr(import_module(module), thing)


def commands_told() -> set[tuple[str, str]]:
    """Return the (program, command) pairs that the documents tell people to type."""
    written = re.compile(r"(make|python -m \w+) ([a-z][a-z-]+)")
    return {
        (match[1], match[2])
        for name, text in texts()
        if name.endswith(".md") and not name.startswith(".github/decisions/")
        for block in re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
        for match in written.finditer(block)
    }


def test_every_command_that_the_documents_tell_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    known = {("make", target) for target in targets}
    known |= {("python -m backend", command) for command in COMMANDS}
    for package in "analytics", "device_bridge":
        program = PROJECT / package / "__main__.py"
        words = (
            re.findall(r'"([a-z-]+)"', program.read_text()) if program.exists() else []
        )
        known |= {(f"python -m {package}", word) for word in words}

    missing = {
        told
        for told in commands_told() - known
        if told[0] == "make" or told[0].removeprefix("python -m ") in PACKAGES
    }
    assert missing == set()


def test_every_target_of_the_makefile_is_announced() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))

    assert phony
    assert set(phony[1].split()) == targets


def test_the_lock_has_hashes_and_names_no_index() -> None:
    lock = (PROJECT / "requirements.lock").read_text()
    pinned = re.findall(r"^[a-z0-9][\w.-]*==", lock, flags=re.MULTILINE)

    assert "://" not in lock
    assert not re.search(r"^-", lock, flags=re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:", lock)) >= len(pinned) > 0


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in texts()
        for match in ON_ONE_MACHINE.finditer(text)
        if name != named(Path(__file__))
    ]

    assert found == []


def test_every_setting_is_read_by_somebody() -> None:
    read = set[str]()
    for name, text in texts():
        if name.startswith(("backend/", "notifications/")):
            read |= set(re.findall(r"\.(\w+)", text))

    assert set(Settings.model_fields) - read == set()


def test_decisions_are_numbered_once() -> None:
    numbers = [
        path.name[:4] for path in (PROJECT / ".github/decisions").glob("[0-9]*.md")
    ]

    assert sorted(numbers) == sorted(set(numbers))
