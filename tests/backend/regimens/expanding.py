"""Runs `python -m backend expand` in this process and tells what came out."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from backend.__main__ import main

LONDON = "Europe/London"
Repeat = Mapping[str, object]


class Expanded:
    """Runs `expand` on a prescription; `options` are further ones of the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = folder / "timing.json"
        self._capsys = capsys

    def text(
        self,
        text: str,
        days: str = "2026-03-28 2026-03-31",
        zone: str = LONDON,
        *options: str,
    ) -> tuple[int, list[str], str]:
        self._file.write_text(text, "utf-8")
        first, last = days.split()
        command = ["expand", str(self._file), "--zone", zone]
        code = main([*command, "--from", first, "--to", last, *options])
        out, err = self._capsys.readouterr()
        return code, out.splitlines(), err

    def due(
        self, repeat: Repeat, days: str, zone: str = LONDON, *options: str
    ) -> list[str]:
        return self.lines({"repeat": repeat}, days, zone, *options)

    def lines(
        self, written: object, days: str, zone: str = LONDON, *options: str
    ) -> list[str]:
        code, lines, err = self.text(json.dumps(written), days, zone, *options)
        assert (code, err) == (0, "")
        return lines

    def refusal(self, written: object, *options: str) -> str:
        code, lines, err = self.text(
            json.dumps(written), "2026-03-28 2026-03-31", LONDON, *options
        )
        assert (code, lines, err.count("\n")) == (2, [], 1)
        return err
