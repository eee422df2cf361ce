"""However records are split, mixed and sent again, the same facts end the same."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from backend.database import engine
from backend.database.sets import fetch
from backend.supply.use import dispense
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

DAYS = 4
START = eight(MONDAY) - timedelta(hours=8)
NOW = eight(MONDAY + (DAYS - 1) * DAY) + timedelta(hours=14)
MINUTES = DAYS * 24 * 60
AT_HAND = 9
EXAMPLES = settings(
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Fact:
    """A record, as minutes from the start, or without a time."""

    minute: int | None
    kind: str


@dataclass(frozen=True)
class Sending:
    """One request: records by number, in which epoch each was read, then `heard`."""

    records: tuple[int, ...]
    epochs: tuple[int, ...]
    heard: bool
    gap: bool


# Times near to each other and to due times are where matching has something to decide.
MINUTE = st.one_of(
    st.integers(0, MINUTES - 1),
    st.tuples(st.integers(0, DAYS - 1), st.integers(-70, 70)).map(
        lambda near: near[0] * 24 * 60 + 480 + near[1]
    ),
)
FACT = st.builds(
    Fact,
    st.one_of(MINUTE, MINUTE, MINUTE, st.none()),
    st.sampled_from(["opened", "opened", "opened", "delivered", "prime"]),
)
# No two at one instant: which of them is the duplicate is then as good as any.
FACTS = st.lists(
    FACT,
    min_size=1,
    max_size=9,
    unique_by=lambda fact: fact if fact.minute is None else fact.minute,
).map(lambda facts: sorted(facts, key=lambda fact: (fact.minute is None, fact.minute)))


@st.composite
def sendings(draw: st.DrawFn, how_many: int) -> list[Sending]:
    """All the records, cut into requests in any order, some more than once."""
    numbers = list(range(1, how_many + 1))
    again = draw(st.lists(st.sampled_from(numbers), max_size=4))
    order = draw(st.permutations(numbers + again))
    made: list[Sending] = []
    while order:
        size = draw(st.integers(1, len(order)))
        taken, order = order[:size], order[size:]
        epochs = draw(st.lists(st.integers(1, 2), min_size=size, max_size=size))
        made.append(
            Sending(tuple(taken), tuple(epochs), draw(st.booleans()), not order)
        )
    return made


@contextmanager
def a_passing_world() -> Generator[tuple[Session, World]]:
    """A patient with four days of doses, gone again afterwards."""
    with Session(engine(), expire_on_commit=False) as session:
        world = a_world(session)
        doses_at_eight(session, world, days=DAYS)
        dispense(
            session,
            world.patient_id,
            world.product.gtin,
            Decimal(AT_HAND),
            cause="start",
            at=START - DAY,
            now=START,
        )
        yield session, world
        session.rollback()


def item(
    world: World, facts: Sequence[Fact], number: int, epoch: int
) -> dict[str, Any]:
    fact = facts[number - 1]
    at = None if fact.minute is None else START + timedelta(minutes=fact.minute)
    changes: dict[str, object] = {"epoch": epoch, "claimed_live": False}
    if fact.kind != "opened":
        changes |= {"evidence": "dose_delivered", "amount": "2", "unit": "1"}
    if fact.kind == "prime":
        changes |= {"label": "prime"}
    return opening(world, number, at, **changes)


def play(
    session: Session, world: World, facts: Sequence[Fact], requests: Sequence[Sending]
) -> None:
    how_far = heard(world, len(facts), NOW)
    gap = {
        "device_id": str(world.device_id),
        "id": "gap",
        "kind": "gap",
        "detail": {"from": 0, "to": 0},
    }
    for one in requests:
        items = [
            item(world, facts, number, epoch)
            for number, epoch in zip(one.records, one.epochs, strict=True)
        ]
        send(session, world, items, now=NOW)
        said = [gap] * one.gap + [how_far] * one.heard
        if said:
            tell(session, world, said, now=NOW)
    tell(session, world, [how_far], now=NOW)


def outcome(session: Session) -> dict[str, Any]:
    """What must not depend on the order; epochs and instants of storing may."""
    questions = {
        "doses": "SELECT s.occurrence, s.label, e.sequence FROM scheduled_dose s "
        "LEFT JOIN dose_event e USING (patient_id, dose_event_id) ORDER BY 1",
        "events": "SELECT sequence, label, occurred_at FROM dose_event ORDER BY 1",
        "stock": "SELECT on_hand, use_per_day, run_out_on, run_out_early, run_out_late "
        "FROM stock",
        "state": "SELECT strip, counts, adherence, last_dose_at, heard_until, need, "
        "open_alerts, next_due_at, run_out_on FROM patient_state",
    }
    return {
        name: [tuple(row.values()) for row in fetch(session, question)]
        for name, question in questions.items()
    }


@EXAMPLES
@given(st.data())
def test_any_order_ends_the_same(db: object, data: st.DataObject) -> None:
    facts = data.draw(FACTS)
    numbers = tuple(range(1, len(facts) + 1))
    plain = [Sending(numbers, (1,) * len(numbers), heard=True, gap=True)]
    with a_passing_world() as (session, world):
        play(session, world, facts, plain)
        wanted = outcome(session)
        hold_true(session)
    with a_passing_world() as (session, world):
        play(session, world, facts, data.draw(sendings(len(facts))))
        assert outcome(session) == wanted
        hold_true(session)


def hold_true(session: Session) -> None:
    """What holds after whatever happened."""
    for check in CHECKS:
        check(session)


def stock_is_the_sum_of_what_events_say(session: Session) -> None:
    rows = fetch(session, "SELECT label, amount FROM dose_event")
    used = sum(
        row["amount"] if row["amount"] is not None else row["label"] == "therapeutic"
        for row in rows
    )
    assert fetch(session, "SELECT on_hand FROM stock")[0]["on_hand"] == AT_HAND - used
    assert fetch(session, "SELECT sum(amount) AS n FROM stock_entry")[0]["n"] == (
        AT_HAND - used
    )


def at_most_one_order_is_open(session: Session) -> None:
    orders = fetch(session, "SELECT state FROM reorder")
    told = fetch(session, "SELECT cursor FROM feed_row ORDER BY cursor")
    assert len(orders) <= 1
    assert [row["cursor"] for row in told] == list(range(1, len(orders) + 1))
    if fetch(session, "SELECT on_hand FROM stock")[0]["on_hand"] < 6:
        assert len(orders) == 1


def changes_of_a_label_are_one_chain(session: Session) -> None:
    rows = fetch(
        session,
        """SELECT s.occurrence, s.label, array_agg(c.before ORDER BY c.recorded_at) AS
            before, array_agg(c.after ORDER BY c.recorded_at) AS after
        FROM scheduled_dose s JOIN label_change c
            USING (patient_id, regimen_id, occurrence) GROUP BY 1, 2""",
    )
    for row in rows:
        assert row["before"] == ["pending", *row["after"][:-1]]
        assert row["after"][-1] == row["label"]


def one_event_is_one_dose(session: Session) -> None:
    rows = fetch(
        session,
        """SELECT e.label, count(s.occurrence) AS doses FROM dose_event e
        LEFT JOIN scheduled_dose s USING (patient_id, dose_event_id)
        GROUP BY e.dose_event_id, e.label""",
    )
    for row in rows:
        assert row["doses"] == (row["label"] == "therapeutic")


CHECKS: tuple[Callable[[Session], None], ...] = (
    stock_is_the_sum_of_what_events_say,
    at_most_one_order_is_open,
    changes_of_a_label_are_one_chain,
    one_event_is_one_dose,
)
