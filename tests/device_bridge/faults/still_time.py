"""An event loop whose clock stands still while there is work, and then jumps.

Nothing waits: an hour without a backend takes as long as what happens in it. Work for
threads is done at once, in the loop, so that a case runs the same way every time.
"""

import asyncio
import os
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")
SURELY = 0.005  # real seconds in which what one socket sent is there for another
PATIENCE = 240.0  # real seconds for a story


class StillLoop(asyncio.SelectorEventLoop):
    """`disk` does what the bridge gives to its queue's thread, and may fail.

    `sockets`: the story sends by real ones, both ends of which are in this loop.
    """

    def __init__(self, *, sockets: bool = False) -> None:
        self._at = 0.0
        self._began = datetime.now(UTC)
        self.sockets = sockets
        self.disk: Callable[[Callable[[], Any]], Any] = lambda work: work()
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self._at

    @property
    def now(self) -> datetime:
        """Return the time of day in the story, which begins when it is told."""
        return self._began + timedelta(seconds=self._at)

    def jump(self, seconds: float) -> None:
        """Go on to the next instant at which something is due."""
        self._at += seconds

    def run_in_executor(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        executor: Executor | None,
        func: Callable[..., T],
        *args: Any,  # noqa: ANN401  as in asyncio
    ) -> "asyncio.Future[T]":
        del executor  # there are no threads
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(self.disk(lambda: func(*args)))
        except BaseException as error:  # noqa: BLE001  it is raised where it is awaited
            done.set_exception(error)
        return done


class _Jump(selectors.SelectSelector):
    def __init__(self, loop: StillLoop) -> None:
        super().__init__()
        self._loop = loop
        self._until = monotonic() + PATIENCE

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if monotonic() > self._until:
            raise RuntimeError("the story does not come to an end")
        ready = super().select(0)
        if not ready and self._loop.sockets:
            # Nearly always it is there at once; nobody may give up before it surely is.
            os.sched_yield()
            may_give_up = timeout is None or timeout > 1
            ready = super().select(SURELY if may_give_up else 0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing is due")
            self._loop.jump(timeout)
        return ready


def at_once(
    story: Callable[[StillLoop], Coroutine[Any, Any, T]], *, sockets: bool = False
) -> T:
    """Return what a story gives, told on a clock of its own that starts at 0."""
    made = partial(StillLoop, sockets=sockets)
    with asyncio.Runner(loop_factory=made) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, StillLoop)
        return runner.run(story(loop))


def still() -> StillLoop | None:
    """Return the loop of the story that is told at once, None where none is."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, StillLoop) else None
