"""What a manufacturer receives: every step once, in order, and nothing of others."""

from datetime import timedelta
from decimal import Decimal
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from backend.audit.record import Actor
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.errors import Forbidden, NotFound
from backend.feeds.append import append, pseudonym
from backend.feeds.orders import FEED, publish
from backend.feeds.read import read
from backend.people.hold import hold
from backend.people.readers import Reader
from backend.people.tables import Organization
from backend.supply.reorder import review, step
from backend.supply.tables import Reorder
from backend.supply.use import dispense
from tests import builders
from tests.backend.ingest.world import DAY, World, a_world, count, eight

NOW = eight()
PATIENCE = 30.0
SYSTEM = Actor("system", None, None)


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def reader_of(maker: Organization) -> Reader:
    return Reader(uuid4(), "manufacturer", maker.organization_id, None)


def an_order(session: Session, world: World) -> Reorder:
    gtin = world.product.gtin
    dispense(
        session,
        world.patient_id,
        gtin,
        Decimal(2),
        cause="start",
        at=NOW - DAY,
        now=NOW - DAY,
    )
    return review(session, [(world.patient_id, gtin)], now=NOW)[0]


def rows(session: Session, reader: Reader, *, after: int = 0) -> list[dict[str, Any]]:
    return read(session, reader, FEED, after=after, limit=1000)


def test_each_step_of_an_order_is_told_once(session: Session, world: World) -> None:
    order, reader = an_order(session, world), reader_of(world.manufacturer)
    publish(session, order, now=NOW)
    for state in ("acknowledged", "shipped", "delivered"):
        order = step(
            session,
            world.patient_id,
            order.reorder_id,
            state,
            actor=SYSTEM,
            now=NOW,
        )
        assert publish(session, order, now=NOW)
        assert not publish(session, order, now=NOW)

    told = rows(session, reader)

    states = ["placed", "acknowledged", "shipped", "delivered"]
    assert [row["state"] for row in told] == states
    assert [row["cursor"] for row in told] == [1, 2, 3, 4]
    assert rows(session, reader, after=2) == told[2:]


def test_no_name_and_no_health_in_a_row(session: Session, world: World) -> None:
    publish(session, an_order(session, world), now=NOW)

    row = rows(session, reader_of(world.manufacturer))[0]

    assert set(row) == {
        "cursor",
        "recorded_at",
        "reorder_id",
        "state",
        "gtin",
        "product",
        "packs",
        "ship_to",
        "supplier_gln",
        "patient_pseudonym",
        "at",
    }
    assert str(world.patient_id) not in str(row)


def test_what_is_only_proposed_or_not_agreed_to_is_not_told(
    session: Session, world: World
) -> None:
    order = an_order(session, world)
    order.state = "proposed"
    assert not publish(session, order, now=NOW)

    order.state = "placed"
    execute(session, "UPDATE consent SET until = :now", now=NOW)
    assert not publish(session, order, now=NOW)
    assert count(session, "feed_row") == 0


def test_what_was_only_ever_proposed_is_not_told_when_it_is_cancelled(
    session: Session, world: World
) -> None:
    execute(session, "UPDATE product SET controlled = true")
    order = an_order(session, world)
    whose = world.patient_id, order.reorder_id

    order = step(session, *whose, "cancelled", actor=SYSTEM, now=NOW)

    assert not publish(session, order, now=NOW)
    assert count(session, "feed_row") == 0


def test_a_consent_withdrawn_ends_the_feed_and_leaves_what_was_told(
    session: Session, world: World
) -> None:
    order = an_order(session, world)
    publish(session, order, now=NOW)
    execute(session, "UPDATE consent SET until = :now", now=NOW)

    order.state = "shipped"
    assert not publish(session, order, now=NOW)

    told = rows(session, reader_of(world.manufacturer))
    assert [row["state"] for row in told] == ["placed"]


def test_an_order_called_off_after_a_withdrawal_is_told_bare_to_who_knew_of_it(
    session: Session, world: World
) -> None:
    order = an_order(session, world)
    publish(session, order, now=NOW)
    execute(session, "UPDATE consent SET until = :now", now=NOW)

    whose = world.patient_id, order.reorder_id
    order = step(session, *whose, "cancelled", actor=SYSTEM, now=NOW)
    assert publish(session, order, now=NOW)
    assert not publish(session, order, now=NOW)

    last = rows(session, reader_of(world.manufacturer))[-1]
    assert set(last) == {"cursor", "recorded_at", "reorder_id", "state"}
    assert last["state"] == "cancelled"


def test_another_manufacturer_sees_nothing_and_others_are_refused(
    session: Session, world: World
) -> None:
    publish(session, an_order(session, world), now=NOW)
    other = builders.a_manufacturer(session, name="Other")
    clinic = world.clinic.clinic_id
    patient = Reader(uuid4(), "patient", world.patient_id, clinic)
    clinician = Reader(uuid4(), "clinician", world.clinician.clinician_id, clinic)

    assert rows(session, reader_of(other)) == []
    for reader in (patient, clinician):
        with pytest.raises(Forbidden):
            rows(session, reader)
    with pytest.raises(NotFound):
        read(session, reader_of(other), "secrets", after=0, limit=1)


def test_a_patient_has_another_name_for_each_manufacturer(session: Session) -> None:
    first, second, patient = uuid4(), uuid4(), uuid4()
    names = {
        pseudonym(session, whom, recipient, now=NOW)
        for whom in (patient, uuid4())
        for recipient in (first, second)
    }
    assert len(names) == 4
    assert pseudonym(session, patient, first, now=NOW) in names


class Writer(Thread):
    """Appends one row in a transaction of its own, and commits when told to."""

    def __init__(self, recipient: UUID, key: str) -> None:
        super().__init__()
        self._recipient, self._key = recipient, key
        self.appended, self.may_commit = Event(), Event()

    def run(self) -> None:
        with transaction() as session:
            append(session, FEED, self._recipient, self._key, {}, now=NOW)
            self.appended.set()
            self.may_commit.wait(PATIENCE)


def test_a_reader_never_passes_a_row_that_is_still_to_come(db: object) -> None:
    maker = uuid4()
    reader = Reader(uuid4(), "manufacturer", maker, None)
    slow, quick = Writer(maker, "slow"), Writer(maker, "quick")
    slow.start()
    assert slow.appended.wait(PATIENCE)
    quick.may_commit.set()
    quick.start()

    with transaction() as session:
        assert rows(session, reader) == []  # neither the slow row nor one behind it
    assert not quick.appended.is_set()
    slow.may_commit.set()
    for writer in (slow, quick):
        writer.join(PATIENCE)

    with transaction() as session:
        assert [row["cursor"] for row in rows(session, reader)] == [1, 2]


def test_readers_see_every_row_once_while_many_write(db: object) -> None:
    maker, most = uuid4(), 40
    reader = Reader(uuid4(), "manufacturer", maker, None)

    def write(name: int) -> None:
        for n in range(most // 4):
            with transaction() as session:
                append(session, FEED, maker, f"{name}/{n}", {"n": n}, now=NOW)

    writers = [Thread(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    last_look = False
    while not last_look:
        last_look = not any(writer.is_alive() for writer in writers)
        with transaction() as session:
            found = rows(session, reader, after=seen[-1] if seen else 0)
        seen += [row["cursor"] for row in found]

    assert seen == list(range(1, most + 1))


def test_two_first_orders_of_two_makers_do_not_block_each_other(db: object) -> None:
    """Each order's recipient gets its key; the keys are made behind the one lock."""
    with transaction() as session:
        world = a_world(session)
        other = builders.a_manufacturer(session, name="Other")
        builders.a_consent(session, world.patient, "supply", other.organization_id)
        second = builders.a_product(session, other, gtin="07612345678917")
        gtins = (world.product.gtin, second.gtin)
        template = an_order(session, world)
    failed: list[Exception] = []

    def publish_both(gtins: tuple[str, ...]) -> None:
        try:
            with transaction(patience=timedelta(seconds=20)) as session:
                for gtin in gtins:
                    order = Reorder(**template.model_dump(exclude={"reorder_id"}))
                    order.gtin = gtin
                    publish(session, order, now=NOW)
        except Exception as error:
            failed.append(error)
            raise

    for _ in range(10):
        both = [
            Thread(target=publish_both, args=(given,)) for given in (gtins, gtins[::-1])
        ]
        with transaction() as session:
            execute(session, "DELETE FROM feed_key")
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(PATIENCE)

    assert failed == []
    with transaction() as session:
        assert hold(session, [world.patient_id]) == {world.patient_id}
        assert fetch(session, "SELECT count(*) AS n FROM feed_row")[0]["n"] == 40
