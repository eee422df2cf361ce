"""The key with which browsers subscribe to a clinic's notifications."""

from backend.settings import settings
from notifications.channels.push import public_key


def application_key() -> str | None:
    """Return the `applicationServerKey`, base64url; None where push is not set up."""
    key = settings().push_key
    return None if key is None else public_key(key.get_secret_value())
