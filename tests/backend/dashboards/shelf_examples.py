"""A clinic's devices, as a page shows them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.dashboards.shelf import RegisteredDevice, Replacement

NOW = datetime(2026, 6, 1, 16, 20, tzinfo=UTC)


def a_shelf() -> tuple[RegisteredDevice, ...]:
    """Fifty devices: the first needs a look, the last was never heard."""
    return tuple(
        RegisteredDevice(
            name="Acme Box 2",
            serial=f"SN-{n:04}",
            kind="box",
            heard_until=None if n == 49 else NOW - timedelta(minutes=n),
            battery_percent=None if n == 49 else 90 - n,
            replace=Replacement(UUID(int=7), NOW, NOW, None) if n == 1 else None,
            clock="+0.4 ±0.1 s" if n % 2 else None,
            troubles=("Was reset",) if n == 2 else (),
            notes=("Clock was set",) if n == 3 else (),
            assigned=n > 0,
            unassigned=3 if n == 0 else 0,
            quarantined=max(0, 2 - n),
            silent=n == 49,
        )
        for n in range(50)
    )
