"""What went to whom lately, as whoever claims knows it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import delete

from backend.database import transaction
from backend.outbox.recent import REMEMBERED, Recent, packed, recipient
from backend.outbox.tables import RecentSend
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
A_64_BIT = st.integers(-(2**63), 2**63 - 1)
PEOPLE = ["+1", "+2", "+3"]


def sent(*to: str, at: datetime) -> None:
    recipients = packed(recipient("sms", each) for each in to)
    with transaction() as session:
        session.add(RecentSend(at=at, recipients=recipients))


def known(recent: Recent, *, now: datetime) -> list[list[datetime]]:
    """What is known after reading what was added: of each of `PEOPLE`, when."""
    everybody = [recipient("sms", each) for each in PEOPLE]
    with transaction() as session:
        recent.read(session, now=now)
    sent_to = recent.sent_to(everybody)
    return [sent_to.get(each, []) for each in everybody]


@given(st.lists(A_64_BIT))
def test_recipients_are_eight_octets_each(recipients: list[int]) -> None:
    assert len(packed(recipients)) == 8 * len(recipients)


def test_a_text_and_a_call_to_one_number_have_limits_of_their_own() -> None:
    assert recipient("sms", "+1") != recipient("voice", "+1")
    assert recipient("sms", "+1") == recipient("sms", "+1")


@pytest.mark.usefixtures("db")
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4),
            st.integers(0, 30),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_who_reads_as_batches_come_knows_what_one_look_at_all_of_them_tells(
    batches: list[tuple[list[str], int, bool]],
) -> None:
    with transaction() as session:
        session.exec(delete(RecentSend))
    recent = Recent()

    for to, minutes, look in batches:
        sent(*to, at=NOW - minutes * MINUTE)
        if look:
            known(recent, now=NOW)

    assert known(recent, now=NOW) == [
        sorted(
            NOW - minutes * MINUTE
            for to, minutes, _ in batches
            for each in to
            if each == person
        )
        for person in PEOPLE
    ]


@pytest.mark.usefixtures("db")
def test_of_what_is_over_an_hour_ago_nothing_is_read() -> None:
    sent("+1", at=NOW - REMEMBERED)
    sent("+2", at=NOW - REMEMBERED + MINUTE)

    assert known(Recent(), now=NOW) == [[], [NOW - REMEMBERED + MINUTE], []]


@pytest.mark.usefixtures("db")
def test_what_was_read_is_not_kept_for_ever() -> None:
    recent, sends = Recent(), [NOW + 40 * it * MINUTE for it in range(9)]
    for at in sends:
        sent(*PEOPLE, at=at)
        kept = known(recent, now=at)[0]

        assert [it for it in kept if at - it < REMEMBERED] == [
            it for it in sends if timedelta(0) <= at - it < REMEMBERED
        ]
        assert at - kept[0] <= 2 * REMEMBERED
