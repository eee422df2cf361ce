import logging
import socket
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr
from twilio.rest import Client

from backend.settings import Settings
from notifications.channels import CHANNELS, open_channels
from notifications.channels.log import LogChannel
from notifications.channels.sms import SmsChannel
from notifications.message import Message, Receipt, SendFailed
from notifications.single_shot import SingleShot
from tests.notifications.fake_twilio import (
    ACCOUNT,
    SENDER,
    TOKEN,
    Faults,
    Provider,
    serving,
)

MESSAGE = Message(
    UUID(int=7), "+4366012345", "Hello. Ref AB12CD", "AB12CD", timedelta(hours=2)
)


@contextmanager
def channel_at(
    address: str, *, timeout: timedelta = timedelta(seconds=2)
) -> Generator[SmsChannel]:
    with closing(SingleShot(timeout=timeout, at=address)) as http:
        client = Client(ACCOUNT, TOKEN, http_client=http)
        yield SmsChannel(client, SENDER, public="https://clinic.example/")


def refused(channel: SmsChannel) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        channel.send(MESSAGE)
    return caught.value


@pytest.fixture
def provider() -> Provider:
    return Provider(Faults())


@pytest.fixture
def channel(provider: Provider) -> Generator[SmsChannel]:
    with serving(provider) as address, channel_at(address) as channel:
        yield channel


def test_sends_with_validity_and_its_id_in_the_callback(
    channel: SmsChannel, provider: Provider
) -> None:
    receipt = channel.send(MESSAGE)

    assert receipt == Receipt(provider.accepted[0].sid, "sent")
    assert provider.accepted[0].form == {
        "To": "+4366012345",
        "From": SENDER,
        "Body": "Hello. Ref AB12CD",
        "ValidityPeriod": "7200",
        "StatusCallback": f"https://clinic.example/v1/twilio/status?message={UUID(int=7)}",
    }


def test_a_message_is_found_again_by_recipient_and_reference(
    channel: SmsChannel, provider: Provider
) -> None:
    other = Message(UUID(int=8), MESSAGE.to, "Ref ZZ99ZZ", "ZZ99ZZ", timedelta(hours=1))
    channel.send(other)
    assert channel.look_up(MESSAGE) == []

    sent = channel.send(MESSAGE)

    assert channel.look_up(MESSAGE) == [sent]


@pytest.mark.parametrize(
    ("code", "retry"),
    [(21211, False), (21610, False), (20003, True), (20429, True), (20500, None)],
    ids=["bad number", "opted out", "our credentials", "rate", "their fault"],
)
def test_says_whether_a_refusal_is_final(
    channel: SmsChannel, provider: Provider, code: int, retry: object
) -> None:
    provider.faults.codes[MESSAGE.to] = code

    failed = refused(channel)

    assert (failed.code, failed.retry) == (str(code), retry)


@pytest.mark.parametrize(
    "faults",
    [Faults(accepted_then_503=1.0), Faults(accepted_then_disconnect=1.0)],
    ids=["503", "disconnect"],
)
def test_an_open_outcome_is_unknown_and_was_posted_once(faults: Faults) -> None:
    provider = Provider(faults)
    with serving(provider) as address, channel_at(address) as channel:
        failed = refused(channel)

    assert failed.retry is None
    assert provider.posts == 1
    assert len(provider.accepted) == 1


def test_a_provider_that_never_answers_is_unknown_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with channel_at(address, timeout=timedelta(milliseconds=200)) as channel:
            failed = refused(channel)

    assert failed.retry is None


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with channel_at(f"http://127.0.0.1:{port}") as channel:
        failed = refused(channel)

    assert failed.retry is True


CONFIGURED = Settings(
    public_url="https://clinic.example/",
    twilio_account=ACCOUNT,
    twilio_token=SecretStr(TOKEN),
    twilio_sender=SENDER,
)


def test_every_module_of_the_folder_is_a_channel() -> None:
    assert {"email", "log", "push", "sms", "voice", "webhook"} == CHANNELS.keys()


def test_where_nothing_is_set_up_all_goes_to_the_log() -> None:
    opened = open_channels(Settings())

    assert opened.keys() == CHANNELS.keys()
    assert {type(channel) for channel in opened.values()} == {LogChannel}


def test_what_is_not_set_up_beside_what_is_does_not_pretend_to_send() -> None:
    opened = open_channels(CONFIGURED)

    assert opened.keys() == {"log", "sms", "voice"}
    assert isinstance(opened["sms"], SmsChannel)


def test_the_log_names_neither_address_nor_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        LogChannel().send(MESSAGE)

    [record] = caplog.records
    written = str(record.__dict__)
    assert str(MESSAGE.message_id) in written
    assert MESSAGE.to not in written
    assert "Hello" not in written
