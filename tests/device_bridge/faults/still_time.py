"""An event loop whose clock stands still while there is work, and then jumps.

Nothing waits: an hour without a backend takes as long as what happens in it. Work for
threads is done at once, in the loop, so that a case runs the same way every time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class StillLoop(asyncio.SelectorEventLoop):
    """`disk` does what the bridge gives to its queue's thread, and may fail."""

    def __init__(self) -> None:
        self._at = 0.0
        self.disk: Callable[[Callable[[], Any]], Any] = lambda work: work()
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self._at

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

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing is due")
            self._loop.jump(timeout)
        return ready


def at_once(story: Callable[[StillLoop], Coroutine[Any, Any, T]]) -> T:
    """Return what a story gives, told on a clock of its own that starts at 0."""
    with asyncio.Runner(loop_factory=StillLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, StillLoop)
        return runner.run(story(loop))
