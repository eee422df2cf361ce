"""Awaiting bumble without losing a cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` gives, run in a task of its own.

    bumble awaits its commands with `asyncio.wait_for`, which in Python 3.11 swallows a
    cancellation that comes together with the answer; out here it is not swallowed.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait((task,))
        raise
    return task.result()
