"""Our client and our fake, held against Twilio's own description of its interface."""

import json
from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from twilio.rest import Client

from notifications.channels.sms import SmsChannel
from notifications.channels.voice import VoiceChannel
from notifications.message import Message, SendFailed
from notifications.single_shot import SingleShot
from notifications.twiml import call_asking
from tests.conftest import GOLDEN
from tests.contract.prism import described, install, policing
from tests.notifications import fake_twilio
from tests.notifications.fake_twilio import (
    ACCOUNT,
    API,
    SENDER,
    TOKEN,
    Document,
    Faults,
    Provider,
    serving,
)

pytestmark = pytest.mark.slow

DESCRIPTION = GOLDEN / "messaging/twilio_api_v2010.json"
PUBLIC = "https://clinic.example"
MESSAGE = Message(
    UUID(int=7), "+4366012345", "Größe? Ref AB12CD", "AB12CD", timedelta(hours=2), "de"
)
INVALID_REQUEST, INVALID_ANSWER = 422, 500


class Odd(Provider):
    """A fake that says what Twilio never would, when it is told to."""

    odd: Document | None = None

    def post(
        self, form: Mapping[str, str], *, kind: str = "Messages"
    ) -> fake_twilio.Answer:
        status, document = super().post(form, kind=kind)
        return status, {**(document or {}), **self.odd} if self.odd else document


@pytest.fixture(scope="module")
def provider() -> Odd:
    return Odd(Faults())


@pytest.fixture(scope="module")
def policed(provider: Odd, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of the fake behind Prism."""
    if not DESCRIPTION.exists():
        pytest.skip(f"no golden data: set DOSELOOP_GOLDEN ({DESCRIPTION.name})")
    install()
    description = tmp_path_factory.mktemp("contract") / "twilio.json"
    description.write_text(json.dumps(described(DESCRIPTION)))
    with serving(provider) as upstream, policing(description, upstream) as address:
        yield address


@pytest.fixture
def client(policed: str, provider: Odd) -> Generator[Client]:
    provider.odd = None
    provider.faults = Faults()
    provider.accepted.clear()
    provider.calls.clear()
    with closing(SingleShot(timeout=timedelta(seconds=10), at=policed)) as http:
        yield Client(ACCOUNT, TOKEN, http_client=http)


@pytest.mark.parametrize("sender", [SENDER, "MG" + "0" * 32])
def test_our_texts_are_as_twilio_wants_them_and_the_fakes_answers_as_twilio_gives(
    client: Client, provider: Odd, sender: str
) -> None:
    channel = SmsChannel(client, sender, public=PUBLIC)

    sent = channel.send(MESSAGE)
    found = channel.look_up(MESSAGE)

    assert found == [sent]
    assert provider.accepted[0].body == MESSAGE.body


def test_our_calls_are_as_twilio_wants_them(client: Client, provider: Odd) -> None:
    VoiceChannel(client, SENDER, public=PUBLIC).send(MESSAGE)

    [call] = provider.calls
    keys = f"{PUBLIC}/v1/twilio/keys?message={UUID(int=7)}"
    assert call.form["Twiml"] == call_asking("Größe?", "de", keys_to=keys)


@pytest.mark.parametrize(
    ("to", "code"),
    [("+15005550001", 21211), ("+15005550004", 21610), ("+15005550009", 21614)],
)
def test_the_fakes_refusals_are_errors_as_twilio_writes_them(
    client: Client, to: str, code: int
) -> None:
    with pytest.raises(SendFailed) as caught:
        SmsChannel(client, SENDER).send(MESSAGE._replace(to=to))

    assert (caught.value.code, caught.value.retry) == (str(code), False)


@pytest.mark.parametrize(
    ("faults", "retry"),
    [
        (Faults(rate_limited=1.0), True),
        (Faults(accepted_then_503=1.0), None),
        (Faults(accepted_then_disconnect=1.0), None),
    ],
    ids=["too many", "accepted, then 503", "accepted, then cut off"],
)
def test_what_goes_wrong_is_read_alike_through_the_whole_path(
    client: Client, provider: Odd, faults: Faults, retry: object
) -> None:
    provider.faults = faults
    provider._random.seed(1)  # pyright: ignore[reportPrivateUsage]

    with pytest.raises(SendFailed) as caught:
        SmsChannel(client, SENDER).send(MESSAGE)

    assert caught.value.retry is retry
    assert len(provider.accepted) == (0 if retry else 1)


def test_a_request_that_breaks_the_description_never_reaches_the_provider(
    client: Client, policed: str, provider: Odd
) -> None:
    """Or the tests above would prove nothing."""
    before = provider.posts

    refused = httpx.post(
        f"{policed}{API}/Messages.json",
        data={"From": SENDER, "Body": "to nobody"},
        auth=(ACCOUNT, TOKEN),
    )

    assert refused.status_code == INVALID_REQUEST
    assert provider.posts == before


@pytest.mark.parametrize(
    "odd", [{"sid": "XX7"}, {"status": "lost"}, {"error_code": "21211"}], ids=str
)
def test_an_answer_that_breaks_the_description_is_no_answer(
    client: Client, policed: str, provider: Odd, odd: Document
) -> None:
    provider.odd = odd

    refused = httpx.post(
        f"{policed}{API}/Messages.json",
        data={"To": MESSAGE.to, "From": SENDER, "Body": "x"},
        auth=(ACCOUNT, TOKEN),
    )

    assert refused.status_code == INVALID_ANSWER


@pytest.mark.parametrize(
    "status", ["queued", "sent", "delivered", "undelivered", "failed"]
)
def test_every_state_the_fake_moves_on_to_is_one_of_twilios(
    client: Client, provider: Odd, status: str
) -> None:
    channel = SmsChannel(client, SENDER)
    provider.becomes(channel.send(MESSAGE).provider_id, status, 30005)

    [found] = channel.look_up(MESSAGE)

    assert found.code == "30005"
