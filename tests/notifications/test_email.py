import socket
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from notifications.channels.email import EmailChannel, Relay
from notifications.codes import BAD_ADDRESS
from notifications.message import Message, SendFailed
from notifications.wording import LANGUAGES, say
from tests.notifications.mailbox import (
    Certificate,
    Mailbox,
    a_certificate,
    authenticate,
    serving,
)

TO, SENDER = "rosa@example.org", "Seefeld Clinic <doses@clinic.example>"
MESSAGE = Message(
    UUID(int=7),
    TO,
    "Ihre Dosis <von> 21:00 Uhr & mehr",
    "AB12CD",
    timedelta(hours=2),
    "de",
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return a_certificate(tmp_path_factory.mktemp("tls"))


def channel_to(
    mailbox: Mailbox, certificate: Certificate, security: str = "starttls"
) -> EmailChannel:
    relay = Relay("127.0.0.1", mailbox.port, security)
    return EmailChannel(
        relay, SENDER, public="https://clinic.example/", trust=certificate.trusted
    )


def refused(mailbox: Mailbox, certificate: Certificate) -> SendFailed:
    with (
        serving(mailbox, tls_context=certificate.served(), require_starttls=True),
        pytest.raises(SendFailed) as caught,
    ):
        channel_to(mailbox, certificate).send(MESSAGE)
    return caught.value


def received(certificate: Certificate, message: Message = MESSAGE) -> EmailMessage:
    mailbox = Mailbox()
    with serving(mailbox, tls_context=certificate.served(), require_starttls=True):
        channel_to(mailbox, certificate).send(message)
    [got] = mailbox.got
    return got


def test_a_mail_is_in_the_patients_language_plain_and_html(
    certificate: Certificate,
) -> None:
    got = received(certificate)

    assert (got["To"], got["From"]) == (TO, SENDER)
    assert got["Subject"] == say("mail_subject", "de")
    plain, html = got.iter_parts()
    assert MESSAGE.body in plain.get_content()
    assert "<von> 21:00" not in html.get_content()
    assert "&lt;von&gt; 21:00 Uhr &amp; mehr" in html.get_content()
    assert 'lang="de"' in html.get_content()


def test_a_mail_ends_by_one_click_and_is_answered_by_no_machine(
    certificate: Certificate,
) -> None:
    got = received(certificate)

    link = f"https://clinic.example/v1/unsubscribe?message={UUID(int=7)}&ref=AB12CD"
    assert got["List-Unsubscribe"] == f"<{link}>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert got["Auto-Submitted"] == "auto-generated"
    assert link in got.get_body(("plain",)).get_content()  # pyright: ignore[reportOptionalMemberAccess]


def test_a_second_copy_would_be_known_by_its_id(certificate: Certificate) -> None:
    assert received(certificate)["Message-ID"] == f"<{UUID(int=7)}@clinic.example>"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_fits_the_headers(
    certificate: Certificate, language: str
) -> None:
    message = Message(
        UUID(int=8), TO, "x" * 2_000, "AB12CD", timedelta(hours=1), language
    )

    got = received(certificate, message)

    assert got["Subject"] == say("mail_subject", language)
    assert "x" * 2_000 in got.get_body(("plain",)).get_content()  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("mailbox", "code", "retry"),
    [
        (Mailbox(to_rcpt="550 5.1.1 No such user"), BAD_ADDRESS, False),
        (Mailbox(to_rcpt="550 5.7.1 We do not like you"), "smtp 550", False),
        (Mailbox(to_rcpt="451 4.7.1 Greylisted"), "smtp 451", True),
        (Mailbox(to_data="554 5.6.0 Spam"), "smtp 554", False),
        (Mailbox(to_data="452 4.3.1 Full"), "smtp 452", True),
    ],
    ids=["no user", "refused", "greylisted", "spam", "full"],
)
def test_says_whether_a_refusal_is_final(
    certificate: Certificate, mailbox: Mailbox, code: str, *, retry: bool
) -> None:
    failed = refused(mailbox, certificate)

    assert (failed.code, failed.retry) == (code, retry)
    assert mailbox.got == []


def test_a_server_that_takes_a_mail_and_goes_away_leaves_us_in_doubt(
    certificate: Certificate,
) -> None:
    mailbox = Mailbox(hangs_up=True)

    failed = refused(mailbox, certificate)

    assert failed.retry is None
    assert len(mailbox.got) == 1


def test_a_server_cannot_be_asked_what_it_took(certificate: Certificate) -> None:
    assert channel_to(Mailbox(port=1), certificate).look_up(MESSAGE) is None  # pyright: ignore[reportUnnecessaryComparison]


def test_nothing_goes_to_a_server_that_does_not_encrypt(
    certificate: Certificate,
) -> None:
    mailbox = Mailbox()
    with serving(mailbox), pytest.raises(SendFailed) as caught:
        channel_to(mailbox, certificate).send(MESSAGE)

    assert (caught.value.retry, mailbox.got) == (True, [])


def test_nothing_goes_to_a_server_whose_certificate_nobody_vouches_for(
    certificate: Certificate,
) -> None:
    mailbox = Mailbox()
    with serving(mailbox, tls_context=certificate.served()):
        relay = Relay("127.0.0.1", mailbox.port)
        channel = EmailChannel(relay, SENDER, public="https://clinic.example")
        with pytest.raises(SendFailed) as caught:
            channel.send(MESSAGE)

    assert (caught.value.retry, mailbox.got) == (True, [])


def test_without_encryption_only_on_this_very_machine(
    certificate: Certificate,
) -> None:
    mailbox = Mailbox()
    with serving(mailbox):
        channel_to(mailbox, certificate, "none").send(MESSAGE)
        away = Relay("localhost.localdomain", mailbox.port, "none")
        with pytest.raises(SendFailed):
            EmailChannel(away, SENDER, public="https://c.example").send(MESSAGE)

    assert len(mailbox.got) == 1


@pytest.mark.parametrize(("password", "sent"), [("right", 1), ("wrong", 0)])
def test_signs_in_where_the_server_wants_it(
    certificate: Certificate, password: str, sent: int
) -> None:
    mailbox = Mailbox()
    signing_in = partial(
        serving,
        tls_context=certificate.served(),
        auth_required=True,
        authenticator=authenticate,
    )
    with signing_in(mailbox):
        relay = Relay("127.0.0.1", mailbox.port, "starttls", "doses", password)
        channel = EmailChannel(
            relay, SENDER, public="https://c.example", trust=certificate.trusted
        )
        if sent:
            channel.send(MESSAGE)
        else:
            with pytest.raises(SendFailed) as caught:
                channel.send(MESSAGE)
            assert caught.value.retry is True  # our credentials, not the mail

    assert len(mailbox.got) == sent


def test_a_mailbox_of_any_script_is_reached(certificate: Certificate) -> None:
    message = Message(
        UUID(int=9), "röslein@exämple.org", "Hallo", "AB12CD", timedelta(hours=1), "de"
    )

    assert "röslein" in str(received(certificate, message)["To"])


def test_where_nobody_listens_nothing_was_sent(certificate: Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SendFailed) as caught:
        channel_to(Mailbox(port=port), certificate).send(MESSAGE)

    assert caught.value.retry is True


def test_an_address_that_would_add_a_header_is_refused(
    certificate: Certificate, tmp_path: Path
) -> None:
    message = Message(
        UUID(int=9), "a@b.example\r\nBcc: x@y.example", "x", "AB12CD", timedelta(1)
    )
    with pytest.raises(SendFailed) as caught:
        channel_to(Mailbox(port=1), certificate).send(message)

    assert (caught.value.code, caught.value.retry) == (BAD_ADDRESS, False)
