"""The client of Twilio's package, set up once for texts and calls, and its errors."""

from datetime import timedelta

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from notifications.message import ChannelSettings, Message, SendFailed
from notifications.single_shot import MaybeSent, NotSent, SingleShot

TIMEOUT = timedelta(seconds=10)
CALLBACK = "/v1/twilio/status"

# What the package raises, and our HTTP client under it.
ERRORS = (TwilioException, NotSent, MaybeSent)
# Refusals that say nothing about the message: credentials, suspension, rate.
NOT_NOW = frozenset({401, 403, 429})
# Answers that leave open whether the message was taken.
OPEN = frozenset({408, 409, 425})
RATE_LIMITED = 20429


def open_client(settings: ChannelSettings) -> Client | None:
    """Return a client that posts each request once, None without credentials."""
    account, token = settings.twilio_account, settings.twilio_token
    if not (account and token):
        return None
    http = SingleShot(timeout=TIMEOUT)
    return Client(account, token.get_secret_value(), http_client=http)


def status_address(public: str, message: Message) -> str:
    """Return where Twilio says what became of a message; its id is in the address."""
    return f"{public.rstrip('/')}{CALLBACK}?message={message.message_id}"


def failure(error: Exception) -> SendFailed:
    """Return what an error of the client says about the message."""
    match error:
        case TwilioRestException():
            code = str(error.code or error.status)
            return SendFailed(code, retry=_may_retry(int(error.status), error.code))
        case NotSent():
            return SendFailed("unreachable", retry=True)
        case _:  # MaybeSent, and an answer the client could not read
            return SendFailed("no answer", retry=None)


def _may_retry(status: int, code: int | None) -> bool | None:
    if status in NOT_NOW or code == RATE_LIMITED:
        return True
    if status >= 500 or status < 400 or status in OPEN:
        return None
    return False
