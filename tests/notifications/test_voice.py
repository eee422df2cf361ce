"""Calls through the SDK's own HTTP path, against the fake Twilio."""

from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from itertools import product
from uuid import UUID
from xml.etree.ElementTree import fromstring

import pytest
from twilio.rest import Client

from notifications.channels.voice import VoiceChannel
from notifications.message import Message, SendFailed
from notifications.single_shot import SingleShot
from notifications.twiml import LONGEST, SPOKEN, call_asking, call_saying, text_answer
from notifications.wording import LANGUAGES, name_dose, say, without_reference
from tests.notifications.fake_twilio import (
    ACCOUNT,
    SENDER,
    TOKEN,
    Faults,
    Provider,
    serving,
)
from tests.notifications.test_sms import CONFIGURED

MESSAGE = Message(
    UUID(int=7),
    "+4366012345",
    "Ihre Dosis von <21> & 22 Uhr",
    "AB12CD",
    timedelta(hours=2),
    "de",
)
PUBLIC = "https://clinic.example"
KEYS = f"{PUBLIC}/v1/twilio/keys?message={UUID(int=7)}"


@pytest.fixture
def provider() -> Provider:
    return Provider(Faults())


@pytest.fixture
def channel(provider: Provider) -> Generator[VoiceChannel]:
    with (
        serving(provider) as address,
        closing(SingleShot(timeout=timedelta(seconds=2), at=address)) as http,
    ):
        client = Client(ACCOUNT, TOKEN, http_client=http)
        yield VoiceChannel(client, SENDER, public=f"{PUBLIC}/")


def test_a_call_speaks_the_patients_language_and_asks_for_a_key(
    channel: VoiceChannel, provider: Provider
) -> None:
    receipt = channel.send(MESSAGE)

    [call] = provider.calls
    assert receipt.provider_id == call.sid
    assert call.form["StatusCallback"] == (
        f"{PUBLIC}/v1/twilio/status?message={UUID(int=7)}"
    )
    asking = fromstring(call.form["Twiml"]).find("Gather")
    assert asking is not None
    assert (asking.get("action"), asking.get("numDigits")) == (KEYS, "1")
    spoken = asking.find("Say")
    assert spoken is not None
    assert spoken.get("language") == "de-DE"
    parts = say("voice_opening", "de"), MESSAGE.body, say("voice_keys", "de")
    assert spoken.text == " ".join(parts)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_caregivers_call_offers_what_a_caregiver_can_answer(
    channel: VoiceChannel, provider: Provider, language: str
) -> None:
    channel.send(MESSAGE._replace(language=language, to_caregiver=True))

    asked = fromstring(provider.calls[-1].form["Twiml"]).findtext("Gather/Say")
    parts = "voice_opening_caregiver", "", "voice_keys_caregiver"
    assert asked == " ".join(say(it, language) if it else MESSAGE.body for it in parts)


def test_a_call_rings_for_half_a_minute_and_ends_by_itself(
    channel: VoiceChannel, provider: Provider
) -> None:
    channel.send(MESSAGE)

    form = provider.calls[0].form
    assert (form["Timeout"], form["TimeLimit"]) == ("30", "120")


@pytest.mark.parametrize(
    ("code", "retry"),
    [(21211, False), (20003, True), (20429, True), (20500, None)],
    ids=["no number", "our credentials", "rate", "their fault"],
)
def test_says_whether_a_refusal_is_final(
    channel: VoiceChannel, provider: Provider, code: int, retry: object
) -> None:
    provider.faults.codes[MESSAGE.to] = code

    with pytest.raises(SendFailed) as caught:
        channel.send(MESSAGE)

    assert (caught.value.code, caught.value.retry) == (str(code), retry)


@pytest.mark.parametrize(
    "faults", [Faults(accepted_then_503=1.0), Faults(accepted_then_disconnect=1.0)]
)
def test_a_call_of_which_nobody_knows_was_asked_for_once(faults: Faults) -> None:
    provider = Provider(faults)
    with (
        serving(provider) as address,
        closing(SingleShot(timeout=timedelta(seconds=2), at=address)) as http,
    ):
        client = Client(ACCOUNT, TOKEN, http_client=http)
        channel = VoiceChannel(client, SENDER, public=PUBLIC)
        with pytest.raises(SendFailed) as caught:
            channel.send(MESSAGE)

    assert caught.value.retry is None
    assert (provider.posts, len(provider.calls)) == (1, 1)


def test_calls_need_a_number_that_calls_and_an_address_to_be_answered_at() -> None:
    def opened(**changed: str | None) -> VoiceChannel | None:
        return VoiceChannel.from_settings(CONFIGURED.model_copy(update=changed))

    assert opened() is not None
    assert opened(twilio_sender="MG" + "0" * 32) is None
    assert opened(twilio_sender="MG" + "0" * 32, twilio_caller=SENDER) is not None
    assert opened(public_url=None) is None


@pytest.mark.parametrize(
    ("language", "key"),
    list(product(sorted(LANGUAGES), ["late", "ask", "ask_unheard", "ask_unsure"])),
)
def test_every_call_fits_its_limit_and_reads_no_reference_aloud(
    language: str, key: str
) -> None:
    words = say(
        key,
        language,
        time="20:45",
        since="30 sept. 20:45",
        reference="WWWWWW",
        dose=name_dose("&" * 200, language),
    )
    bare = without_reference(words, "WWWWWW")
    asked = call_asking(bare, language, keys_to=KEYS)

    assert "WWWWWW" not in asked
    assert len(bare.split()) < 75  # half a minute at the usual pace
    assert len(asked) <= LONGEST


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("de", "de-DE"), ("de-AT", "de-AT"), ("es-MX", "es-MX"), ("mi", "en-US")],
)
def test_a_call_is_spoken_in_a_language_that_twilio_has(
    language: str, spoken: str
) -> None:
    said = fromstring(call_saying("Hallo", language)).find("Say")

    assert said is not None
    assert said.get("language") == spoken


def test_every_language_of_the_catalogues_is_spoken() -> None:
    assert SPOKEN.keys() == LANGUAGES


def test_nothing_to_say_is_an_empty_document() -> None:
    assert list(fromstring(text_answer(""))) == []
    assert fromstring(text_answer("a < b")).findtext("Message") == "a < b"
