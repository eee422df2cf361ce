"""How far an import is: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

QUIET_FOR = 15.0  # seconds between two lines in a log

Tell = Callable[[str, int, int], None]


@contextmanager
def progress_shown(say: Callable[[str], None]) -> Generator[Tell]:
    """Give what to call with a step's name, how much of it is done, and of how much."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _in_lines(say)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    steps: dict[str, TaskID] = {}

    def tell(what: str, done: int, of: int) -> None:
        if what not in steps:
            steps[what] = bar.add_task(what, total=of)
        bar.update(steps[what], completed=done)

    with bar:
        yield tell


def _in_lines(say: Callable[[str], None]) -> Tell:
    last = time.monotonic()

    def tell(what: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= QUIET_FOR:
            last = time.monotonic()
            say(f"{what}: {100 * done // max(of, 1)} %")

    return tell
