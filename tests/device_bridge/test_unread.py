"""A record that is read again stays here until it has come again."""

from device_bridge import progress, spool
from tests.device_bridge.test_spool import PROFILE, a_database, a_record


def test_what_is_read_again_is_dated_anew_or_goes_without_a_time() -> None:
    db = a_database()
    marked = [a_record(n)._replace(message=b"now", offset_s=1.0) for n in (1, 2)]
    spool.append(db, "d", PROFILE, marked)
    spool.unread(db, "d", (1, 2), lambda _: b"then", 1e12)
    assert spool.pick(db, 10, 0.0) == []
    assert progress.hole_above(db, "d", 0) is None
    assert progress.received_through(db, "d") == 0
    spool.append(db, "d", PROFILE, [marked[0]._replace(message=b"old", offset_s=5.0)])
    assert not spool.keep_unread(db, "d", 1, 1)
    assert spool.keep_unread(db, "d", 2, 2)
    told = [(r.message, r.offset_s) for r in spool.pick(db, 10, 0.0)]
    assert told == [(b"old", 5.0), (b"then", None)]
    db.close()
