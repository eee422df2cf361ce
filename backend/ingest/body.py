"""A request body as it came: batches are read item by item, not by the framework."""

from typing import Annotated

from fastapi import Depends, Request


async def octets(request: Request) -> bytes:
    """The body as it came; its size was limited before."""
    return await request.body()


Body = Annotated[bytes, Depends(octets)]
