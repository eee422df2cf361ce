"""Two medicines as needed: one may be taken now, of the other there was enough."""

from datetime import UTC, datetime
from uuid import UUID

from backend.dashboards.regimen_views import AsNeededRow, Prescribed

LATER = datetime(2026, 6, 1, 19, 20, tzinfo=UTC)
AS_NEEDED = tuple(
    AsNeededRow(
        "Reliefol",
        Prescribed(
            "Reliefol: 500 mg, bei Bedarf, höchstens 4 Dosen in 24 Stunden.", "de"
        ),
        UUID(int=number),
        free_at,
        taken,
        4,
        UUID(int=number),
    )
    for number, free_at, taken in ((1, None, 1), (2, LATER, 4))
)
