"""Products, packs, stock and reorders."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, amount, document, instant, text


class Product(Row, table=True):
    """A packaged medicine, by GTIN. `pack_size` is in `unit` (UCUM)."""

    gtin: str = text(primary_key=True)
    name: str = text()
    drug: str = text()
    strength: str = text()
    unit: str = text()
    pack_size: Decimal = amount()
    manufacturer_id: UUID = Field(foreign_key="organization.organization_id")
    lead_time_days: int = 3
    safety_days: int = 4
    controlled: bool = False


class Pack(Row, table=True):
    """A pack dispensed to a patient: lot, serial, expiry."""

    patient_id: UUID = Field(primary_key=True)
    pack_id: UUID = Field(default_factory=uuid4, primary_key=True)
    gtin: str = Field(foreign_key="product.gtin")
    lot: str = text()
    serial: str = text()
    expires_on: date
    dispensed_at: datetime = instant()


class PackSerial(Row, table=True):
    """Who holds the pack with this serial: unique across patients."""

    gtin: str = text(primary_key=True)
    serial: str = text(primary_key=True)
    patient_id: UUID = Field(index=True)


class StockEntry(Row, table=True):
    """One change of stock: `dispensed` (+), `used` (-), `corrected` (either).

    `cause` names what caused it, so that the same cause counts once. What a dose event
    used in the end is the sum of its entries. `estimated` when the amount was assumed
    from the regimen.
    """

    patient_id: UUID = Field(primary_key=True)
    entry_id: UUID = Field(default_factory=uuid4, primary_key=True)
    gtin: str = Field(foreign_key="product.gtin")
    kind: str = text()
    cause: str = text()
    dose_event_id: UUID | None = None
    amount: Decimal = amount()
    estimated: bool = False
    occurred_at: datetime = instant()
    recorded_at: datetime = instant()

    __table_args__ = (
        UniqueConstraint("patient_id", "gtin", "kind", "cause"),
        Index("ix_stock_entry_time", "patient_id", "gtin", "occurred_at"),
        Index("ix_stock_entry_event", "patient_id", "dose_event_id"),
    )


class Stock(Row, table=True):
    """What a patient has on hand of a product, and how long it will last.

    The sum of the entries from `since` on: what was there when counting began.
    """

    patient_id: UUID = Field(primary_key=True)
    gtin: str = Field(primary_key=True, foreign_key="product.gtin")
    since: datetime = instant()
    on_hand: Decimal = amount()
    estimated: bool = False
    use_per_day: Decimal | None = amount(default=None)
    run_out_on: date | None = None
    run_out_early: date | None = None
    run_out_late: date | None = None
    updated_at: datetime = instant()


class Reorder(Row, table=True):
    """An order: proposed, placed, acknowledged, shipped, delivered or cancelled.

    At most one open order a (patient, product): the partial unique index sees to it.
    """

    patient_id: UUID = Field(primary_key=True)
    reorder_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID
    gtin: str = Field(foreign_key="product.gtin")
    packs: int
    state: str = text()
    why: dict[str, object] = document()
    opened_at: datetime = instant()
    changed_at: datetime = instant()

    __table_args__ = (
        Index(
            "ux_reorder_open",
            "patient_id",
            "gtin",
            unique=True,
            postgresql_where=sql("state NOT IN ('delivered', 'cancelled')"),
        ),
        Index("ix_reorder_gtin", "gtin", "opened_at"),
    )


class ReorderEvent(Row, table=True):
    """A step in the life of an order: who, when, into which state."""

    patient_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(default_factory=uuid4, primary_key=True)
    reorder_id: UUID
    state: str = text()
    actor_kind: str = text()
    actor_id: UUID | None = None
    at: datetime = instant()
    recorded_at: datetime = instant()
