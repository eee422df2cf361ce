"""Feeds over HTTP, for a manufacturer's program or browser."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from backend.database import transaction
from backend.feeds.read import MOST, read
from backend.people.readers import Reader, signed_in

router = APIRouter(prefix="/v1/feeds", tags=["feeds"])


class Page(BaseModel):
    """Rows in order of their cursor; ask again with `after` = `next`."""

    rows: list[dict[str, Any]]
    next: int


@router.get("/{feed}")
def page(
    feed: str,
    reader: Annotated[Reader, Depends(signed_in)],
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Page:
    """Return what came behind a cursor; the same question gets the same rows again.

    But for one thing: `patient_pseudonym` is null once a patient was erased. A row with
    no more than `reorder_id` and `state` calls off an order of somebody who has taken
    back the consent, or was erased.
    """
    with transaction() as session:
        rows = read(session, reader, feed, after=after, limit=limit)
    return Page(
        rows=rows, next=max((int(str(r["cursor"])) for r in rows), default=after)
    )
