"""Where wearables' and clouds' observations come in."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response

from backend.clock import domain_now
from backend.database import transaction
from backend.ingest.openapi import request_schema
from backend.ingest.vital_items import VitalsAnswer, VitalsBatch, read
from backend.ingest.vitals import accept_vitals
from backend.people.readers import bridge_token, sender_of

router = APIRouter(prefix="/v1/vitals", tags=["ingest"])


async def octets(request: Request) -> bytes:
    """The body as it came; its size was limited before."""
    return await request.body()


@router.post("", openapi_extra=request_schema(VitalsBatch), response_model=VitalsAnswer)
def receive_vitals(
    body: Annotated[bytes, Depends(octets)],
    token: Annotated[str, Depends(bridge_token)],
) -> Response:
    """Store segments and plain samples and answer after the commit.

    Safe to repeat: a segment is known by its id, a sample by patient, source, code and
    instant. Where segments overlap the first stored sample stays. A bad item spoils
    only itself; what could not be used is kept raw as `quarantined`. Only a sender of
    kind `cloud` may name patients; a bridge names its clinic's devices.
    """
    now = domain_now()
    with transaction() as session:
        by = sender_of(session, token)
        answer = accept_vitals(session, read(body), by=by, now=now)
    return Response(orjson.dumps(answer), media_type="application/json")
