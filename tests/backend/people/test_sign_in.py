"""Signing in, by function with a hand-moved clock: sessions, lockout, passwords."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from sqlmodel import Session, select

from backend.audit.record import SYSTEM
from backend.audit.tables import AuditRow
from backend.database import transaction
from backend.people import passwords
from backend.people.access import find_access, issue_access, revoke_access
from backend.people.accounts import LoginTaken, disable, find_account, open_account
from backend.people.attempts import (
    LONGEST_WAIT,
    Guard,
    TooManyAttempts,
    blame,
    by_name,
    by_network,
    charge,
    forgive,
    network,
)
from backend.people.sessions import IDLE, LONGEST, SEEN_EVERY, find_session
from backend.people.sign_in import (
    TRIES_A_NAME,
    TRIES_A_NETWORK,
    WrongPassword,
    sign_in,
    sign_out,
)
from backend.people.sweep import sweep
from backend.people.tables import Account, Attempts, SignInSession
from backend.people.tokens import hash_of
from tests.builders import a_clinic, a_clinician, an_account

REAL = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
RIGHT = "correct horse battery"
pytestmark = pytest.mark.usefixtures("account")


@cache
def right_hash() -> str:
    return passwords.hashed(RIGHT)


@pytest.fixture
def account(db: object) -> Account:
    with transaction() as session:
        clinician = a_clinician(session, a_clinic(session))
        return an_account(
            session, clinician, login="ada@seefeld", password_hash=right_hash()
        )


def enter(
    password: str = RIGHT,
    *,
    login: str = "ada@seefeld",
    address: str = "192.0.2.7",
    real: datetime = REAL,
    cookie: str | None = None,
) -> str:
    return sign_in(login, password, address=address, real=real, cookie=cookie).cookie


def known(cookie: str, real: datetime) -> bool:
    with transaction() as session:
        return find_session(session, cookie, real=real) is not None


def test_the_right_password_opens_a_session_under_any_spelling_of_the_name() -> None:
    assert known(enter(login=" Ada@Seefeld "), REAL)


def test_only_the_hash_of_the_cookie_is_kept() -> None:
    cookie = enter()
    with transaction() as session:
        row = session.exec(select(SignInSession)).one()
    assert row.token_hash == hash_of(cookie)
    assert len(cookie) >= 43  # 256 bits


def test_signing_in_again_gives_a_new_cookie_and_ends_the_old() -> None:
    first = enter()
    second = enter(cookie=first)
    assert first != second
    assert not known(first, REAL)
    assert known(second, REAL)


def test_a_session_ends_when_idle_and_when_old_however_busy() -> None:
    cookie = enter()
    assert known(cookie, REAL + IDLE - SECOND)
    assert not known(cookie, REAL + IDLE - SECOND + IDLE)
    busy = enter()
    at = REAL
    while at < REAL + LONGEST - IDLE / 2:
        assert known(busy, at)
        at += IDLE / 2
    assert not known(busy, REAL + LONGEST)


def test_a_busy_session_is_not_written_at_each_request() -> None:
    cookie = enter()
    known(cookie, REAL + SEEN_EVERY - SECOND)
    with transaction() as session:
        assert session.exec(select(SignInSession.seen_at)).one() == REAL


def test_a_page_that_keeps_itself_current_does_not_keep_its_reader_signed_in() -> None:
    cookie = enter()
    with transaction() as session:
        find_session(session, cookie, real=REAL + IDLE / 2, by_hand=False)
    assert not known(cookie, REAL + IDLE)


def test_signing_out_ends_the_session() -> None:
    cookie = enter()
    sign_out(cookie, real=REAL)
    assert not known(cookie, REAL)


def test_a_disabled_account_is_out_at_once_and_stays_out() -> None:
    cookie = enter()
    with transaction() as session:
        disable(session, "ada@seefeld", actor=SYSTEM, real=REAL)
    assert not known(cookie, REAL)
    with pytest.raises(WrongPassword):
        enter()


def test_each_failure_beyond_the_free_ones_doubles_the_wait() -> None:
    real = REAL
    waits: list[int] = []
    for _ in range(TRIES_A_NAME - 1):
        with pytest.raises(WrongPassword):
            enter("wrong", real=real)
    for _ in range(4):
        with pytest.raises(WrongPassword):
            enter("wrong", real=real)
        with pytest.raises(TooManyAttempts) as refused:
            enter(real=real)  # also the right one has to wait
        waits.append(refused.value.retry_after)
        real += timedelta(seconds=refused.value.retry_after)
    assert waits == [3, 5, 9, 17]  # 2, 4, 8, 16 s, rounded up
    assert known(enter(real=real), real)


def test_a_name_nobody_has_is_refused_and_locked_like_one_that_somebody_has() -> None:
    def told(login: str) -> list[tuple[type[Exception], str]]:
        answers: list[tuple[type[Exception], str]] = []
        for _ in range(TRIES_A_NAME + 1):
            with pytest.raises((WrongPassword, TooManyAttempts)) as refused:
                enter("wrong", login=login)
            answers.append((refused.type, str(refused.value)))
        return answers

    assert told("ada@seefeld") == told("nobody@seefeld")


def test_a_name_nobody_has_costs_as_much_work() -> None:
    # The hash that stands in has the same parameters, so the same time is spent.
    real_one, stand_in = right_hash().split("$"), passwords.NOBODY.split("$")
    assert real_one[:4] == stand_in[:4]
    assert [len(part) for part in real_one] == [len(part) for part in stand_in]
    assert not passwords.fits(None, RIGHT)


def fail_elsewhere(
    times: int, address: str = "192.0.2.7", *, real: datetime = REAL
) -> None:
    """Count failures of a network at other names, without hashing for each."""
    guard = by_network("sign-in", address, free=TRIES_A_NETWORK, at_once=8)
    for _ in range(times):
        with transaction() as session:
            charge(session, [guard], real=real)


def test_a_network_that_tries_many_names_has_to_wait_another_has_not() -> None:
    fail_elsewhere(TRIES_A_NETWORK - 1, "198.51.100.1")
    with pytest.raises(WrongPassword):
        enter("wrong", login="name", address="198.51.100.2")
    with pytest.raises(TooManyAttempts):
        enter(address="198.51.100.200")
    assert known(enter(address="203.0.113.1"), REAL)


def test_an_own_account_gives_an_attacker_no_new_tries_at_others() -> None:
    fail_elsewhere(TRIES_A_NETWORK - 2)
    enter()
    with pytest.raises(WrongPassword):
        enter("wrong", login="one")
    with pytest.raises(WrongPassword):
        enter("wrong", login="two")
    with pytest.raises(TooManyAttempts):
        enter()


def test_old_failures_are_forgotten() -> None:
    for _ in range(TRIES_A_NAME - 1):
        with pytest.raises(WrongPassword):
            enter("wrong")
    later = REAL + timedelta(hours=25)
    with pytest.raises(WrongPassword):
        enter("wrong", real=later)
    assert known(enter(real=later), later)


def test_right_tries_do_not_keep_old_failures_of_a_network_alive() -> None:
    fail_elsewhere(TRIES_A_NETWORK - 1)
    for n in range(1, 5):
        enter(real=REAL + n * HOUR * 12)
    later = REAL + 49 * HOUR
    with pytest.raises(WrongPassword):
        enter("wrong", real=later)
    assert known(enter(real=later), later)


def test_a_typo_a_day_never_locks_a_ward() -> None:
    slips = [REAL + day * 23 * HOUR for day in range(2 * TRIES_A_NETWORK)]
    for real in slips:
        fail_elsewhere(1, real=real)
    assert known(enter(real=slips[-1]), slips[-1])


def test_while_a_try_is_judged_a_colleague_gets_in() -> None:
    fail_elsewhere(TRIES_A_NETWORK)  # the last of them is not answered yet
    assert known(enter(), REAL)


def test_a_right_try_does_not_lift_the_wait_for_somebody_elses_wrong_one() -> None:
    fail_elsewhere(TRIES_A_NETWORK - 1)
    net = by_network("sign-in", "192.0.2.7", free=TRIES_A_NETWORK, at_once=8)
    with transaction() as session:
        began = charge(session, [net], real=REAL)
    with pytest.raises(WrongPassword):
        enter("wrong", login="name")
    with transaction() as session:
        forgive(session, wholly=[], once=[net], began=began)
    with pytest.raises(TooManyAttempts):
        enter()


def test_guesses_at_the_same_moment_are_few_however_many_names_they_try() -> None:
    def judged() -> Iterator[bool]:
        net = by_network("sign-in", "192.0.2.7", free=TRIES_A_NETWORK, at_once=8)
        for n in range(100):
            name = by_name("sign-in", str(n), free=TRIES_A_NAME)
            with suppress(TooManyAttempts), transaction() as session:
                charge(session, [name, net], real=REAL)
                yield True

    assert len(list(judged())) == TRIES_A_NETWORK + 8


def test_who_guesses_for_days_gets_one_try_in_a_quarter_of_an_hour() -> None:
    net = by_network("sign-in", "192.0.2.7", free=TRIES_A_NETWORK, at_once=8)
    real, tries = REAL, 0
    while real < REAL + 48 * HOUR:
        try:
            with transaction() as session:
                charge(session, [net], real=real)
        except TooManyAttempts as refused:
            real += timedelta(seconds=refused.retry_after)
        else:
            tries += 1
            with transaction() as session:
                blame(session, [net], real=real)

    assert tries <= TRIES_A_NETWORK + 10 + 2 * 96


def test_the_wait_has_an_end() -> None:
    guard = Guard(b"", free=5)
    assert [guard.wait(n) for n in (4, 5, 6, 10_000)] == [
        timedelta(),
        2 * SECOND,
        4 * SECOND,
        LONGEST_WAIT,
    ]


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "nowhere"),
    ],
)
def test_addresses_count_by_network(address: str | None, counted_as: str) -> None:
    assert network(address) == counted_as


def test_a_password_of_a_megabyte_is_refused_without_being_hashed() -> None:
    with pytest.raises(WrongPassword):
        enter(RIGHT + "x" * 1_000_000)


def test_who_signed_in_and_who_failed_is_audited_without_a_name() -> None:
    enter()
    with pytest.raises(WrongPassword):
        enter("wrong")
    with pytest.raises(WrongPassword):
        enter("wrong", login="nobody@seefeld")
    with transaction() as session:
        rows = session.exec(select(AuditRow).order_by(AuditRow.action)).all()
    assert [row.action for row in rows] == ["sign_in_failed", "signed_in"]
    assert all(row.detail == {} and row.actor_id for row in rows)


def test_a_weaker_hash_is_replaced_when_its_owner_comes_by(account: Account) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(RIGHT)
    with transaction() as session:
        session.get_one(Account, account.account_id).password_hash = weak
    enter()
    with transaction() as session:
        kept = session.get_one(Account, account.account_id).password_hash
    assert kept != weak
    assert passwords.fits(kept, RIGHT)


def test_two_people_cannot_sign_in_by_one_name(session: Session) -> None:
    clinic = a_clinic(session)
    with pytest.raises(LoginTaken):
        open_account(
            session,
            "ADA@seefeld",
            "hash",
            role="clinician",
            subject_id=a_clinician(session, clinic).clinician_id,
            clinic_id=clinic.clinic_id,
        )


def test_a_programs_token_works_until_it_is_revoked(session: Session) -> None:
    account = find_account(session, "ada@seefeld")
    assert account is not None

    def good(token: str, real: datetime) -> bool:
        return find_access(session, token, real=real) is not None

    token = issue_access(session, account, "reader", actor=SYSTEM, real=REAL)
    other = issue_access(session, account, "other", actor=SYSTEM, real=REAL)
    assert good(token, REAL)
    assert not good(token, REAL + timedelta(days=366))
    revoked = revoke_access(
        session, account.account_id, "reader", actor=SYSTEM, real=REAL
    )
    assert revoked == 1
    assert not good(token, REAL)
    assert good(other, REAL)


def test_what_ran_out_is_swept_and_nothing_else() -> None:
    enter()
    with pytest.raises(WrongPassword):
        enter("wrong")
    assert sweep(REAL) == 0
    assert sweep(REAL + timedelta(days=2)) == 3  # the session, a name, a network
    with transaction() as session:
        assert session.exec(select(Attempts)).all() == []
