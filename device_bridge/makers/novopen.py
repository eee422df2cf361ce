"""When the doses in a NovoPen's memory happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from device_bridge.gatt.fields import Fields
from device_bridge.makers.apdu import decode_apdu
from device_bridge.makers.apdu_store import DoseRecord


@dataclass(frozen=True, slots=True)
class DatedDose:
    """A record and when it happened; None where the pen's clock has gone back since."""

    record: DoseRecord
    occurred_at: datetime | None

    def fields(self) -> Fields:
        """Return the record's fields beside its time in UTC."""
        at = self.occurred_at
        when = None if at is None else at.isoformat().replace("+00:00", "Z")
        return self.record.fields() | {"occurred_at": when}


def decode_pen(payload: bytes, read_at: datetime | None) -> Fields:
    """Return one APDU; doses are dated if it is known when the pen was read.

    A report of records states the pen's clock as it sends them: a dose is as old as
    the difference to its own time.
    """
    fields = decode_apdu(payload)
    if read_at is None or "doses" not in fields:
        return fields
    doses = [_dated(dose, fields["relative_time"], read_at) for dose in fields["doses"]]
    return fields | {"doses": doses}


def _dated(record: DoseRecord, now: int, read_at: datetime) -> DatedDose:
    age = timedelta(seconds=now - record.seconds)
    return DatedDose(record, None if age < timedelta() else read_at - age)
