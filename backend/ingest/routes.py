"""What bridges send and ask: dose events, device events, their devices, the clock."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, ValidationError

from backend.clock import domain_clock, real_now
from backend.database import transaction
from backend.database.sets import fetch
from backend.devices.assign import lock
from backend.errors import Malformed, NotFound, Unprocessable
from backend.ingest.accept import accept_doses
from backend.ingest.accept_events import accept_events
from backend.ingest.body import Body
from backend.ingest.items import (
    Answer,
    DoseBatch,
    DoseItem,
    Envelope,
    EventBatch,
    EventItem,
    read,
)
from backend.ingest.openapi import request_schema
from backend.ingest.renumber import renumber
from backend.people.readers import Sender, bridge_token, sender, sender_of

router = APIRouter(prefix="/v1", tags=["ingest"])


By = Annotated[Sender, Depends(sender)]
Token = Annotated[str, Depends(bridge_token)]


class BridgeDevice(BaseModel):
    """A device this bridge may read, and how far it is committed here."""

    device_id: UUID
    kind: str
    maker: str
    model: str
    serial: str
    udi: str | None
    committed: dict[str, int] | None


class Domain(BaseModel):
    """Domain time = anchor_domain + speed x (real time - anchor_real)."""

    anchor_real: str
    anchor_domain: str
    speed: float


class ClockNow(BaseModel):
    """Real time now, by which a bridge sees its own clock's error, and domain time."""

    now: str
    domain: Domain


class RecordName(BaseModel):
    epoch: Annotated[int, Field(ge=0, lt=2**31)]
    sequence: Annotated[int, Field(ge=0, lt=2**53)]


class NewEpoch(BaseModel):
    """A bridge noticed that a device's clock or numbering began anew after a record."""

    device_id: UUID
    after: RecordName | None = None
    reason: Annotated[str, Field(pattern="^(clock_set|clock_lost|reset|unknown)$")]


class Epoch(BaseModel):
    epoch: int


@router.post("/dose-events", openapi_extra=request_schema(DoseBatch))
def receive_doses(body: Body, token: Token) -> Answer:
    """Store dose records and answer after the commit, one verdict an item.

    Safe to repeat: identity is (device_id, epoch, sequence). A bad item spoils only
    itself; what could not be used is kept raw as `quarantined`.
    """
    clock, real = domain_clock(), real_now()
    with transaction() as session:
        by, reads = sender_of(session, token), read(_items(body), DoseItem)
        verdicts = accept_doses(session, reads, by=by, now=clock.at(real), real=real)
    return Answer(verdicts=verdicts)


@router.post("/device-events", openapi_extra=request_schema(EventBatch))
def receive_events(body: Body, token: Token) -> Answer:
    """Store what devices tell of themselves, and how far each was heard."""
    clock, real = domain_clock(), real_now()
    with transaction() as session:
        by, reads = sender_of(session, token), read(_items(body), EventItem)
        verdicts = accept_events(session, reads, by=by, now=clock.at(real), real=real)
    return Answer(verdicts=verdicts)


@router.get("/bridges/devices")
def devices(by: By) -> list[BridgeDevice]:
    """Return the devices of the bridge's clinic."""
    with transaction() as session:
        rows = fetch(
            session,
            """SELECT d.device_id, d.kind, d.maker, d.model, d.serial, d.udi,
                c.epoch, c.sequence
            FROM device d LEFT JOIN device_contact c USING (device_id)
            WHERE d.clinic_id = :clinic AND d.retired_at IS NULL ORDER BY d.serial""",
            clinic=by.clinic_id,
        )
    return [
        BridgeDevice(
            **{name: row[name] for name in BridgeDevice.model_fields if name in row},
            committed={"epoch": row["epoch"], "sequence": row["sequence"]}
            if row["sequence"]
            else None,
        )
        for row in rows
    ]


@router.post("/device-epochs")
def new_epoch(wanted: NewEpoch, by: By) -> Epoch:
    """Return the epoch that follows a record; the same question, the same answer."""
    after = wanted.after and (wanted.after.epoch, wanted.after.sequence)
    with transaction() as session:
        if not lock(session, [wanted.device_id], clinic_id=by.clinic_id):
            raise NotFound("This bridge may not send for that device.")
        number = renumber(
            session,
            wanted.device_id,
            after=after,
            reason=wanted.reason,
            now=domain_clock().at(real_now()),
        )
    return Epoch(epoch=number)


@router.get("/clock")
def clock() -> ClockNow:
    """Return real time and the domain clock."""
    shared = domain_clock()
    return ClockNow(
        now=real_now().isoformat(),
        domain=Domain(
            anchor_real=shared.anchor_real.isoformat(),
            anchor_domain=shared.anchor_domain.isoformat(),
            speed=shared.speed,
        ),
    )


def _items(body: bytes) -> list[Any]:
    try:
        return Envelope.model_validate_json(body).items
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            raise Malformed("The body is not JSON.") from None
        raise Unprocessable(
            "A batch is {'items': [...]} with 1 to 1000 items.", code=first["type"]
        ) from None
