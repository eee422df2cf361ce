"""Whether a database may be a demo's, asked before anything in it is changed."""

from sqlalchemy import Connection, text

from backend.errors import Conflict

# Any version of ours may have written the tables, so only these two names are taken
# for granted: a clock without a column `demo` is older than demos, and no demo's.
HAS_CLINICS = "SELECT EXISTS (SELECT FROM clinic)"
IS_A_DEMO = """
SELECT EXISTS (
    SELECT FROM domain_clock_anchor a WHERE (to_jsonb(a) ->> 'demo')::boolean
)
"""
HAS_TABLE = "SELECT to_regclass(:name) IS NOT NULL"


class NotADemoDatabase(Conflict):
    """There are real clinics in this database: a demo has no business there."""


def refuse_real_clinics(connection: Connection) -> None:
    """Raise NotADemoDatabase where there are clinics and no demo; changes nothing."""
    if _holds(connection, "clinic", HAS_CLINICS) and not _holds(
        connection, "domain_clock_anchor", IS_A_DEMO
    ):
        raise NotADemoDatabase(
            "This database holds clinics and is no demo's. Point "
            "DOSELOOP_DATABASE_URL or DOSELOOP_DATA_DIR elsewhere."
        )


def _holds(connection: Connection, table: str, question: str) -> bool:
    known = connection.execute(text(HAS_TABLE), {"name": table}).scalar_one()
    return bool(known and connection.execute(text(question)).scalar_one())
