"""What an import could not use: which line of which file, and why."""

from collections.abc import Callable
from dataclasses import dataclass, field

from backend.errors import Unprocessable

MOST_TOLD = 1000
LONGEST_QUOTE = 60


class NothingImported(Unprocessable):
    """Asked to be strict, an import found rows that it cannot use."""


@dataclass(slots=True)
class Refusals:
    """Tells each refused row once, the first thousand of them, and counts them all.

    A warning is told the same way and refuses nothing.
    """

    say: Callable[[str], None]
    refused: int = 0
    warned: int = 0
    _told: int = field(default=0, init=False)

    def refuse(self, file: str, line: int, why: str) -> None:
        self.refused += 1
        self._tell(f"{file}:{line}: {why}")

    def warn(self, file: str, line: int, why: str) -> None:
        self.warned += 1
        self._tell(f"{file}:{line}: warning: {why}")

    def stop_if_strict(self, *, strict: bool) -> None:
        """Raise NothingImported when a row was refused and `strict` is asked for."""
        if strict and self.refused:
            raise NothingImported(
                f"{self.refused} rows cannot be used, so nothing was imported."
            )

    def _tell(self, line: str) -> None:
        self._told += 1
        if self._told <= MOST_TOLD:
            self.say(line)
        elif self._told == MOST_TOLD + 1:
            self.say(f"more than {MOST_TOLD} lines like these: the rest is counted")


def quoted(text: str) -> str:
    """Return a cell as it may be shown on a terminal: printable, and not long."""
    short = text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
    return ascii(short) if not short.isprintable() else f"'{short}'"
