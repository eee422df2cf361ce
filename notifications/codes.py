"""What providers' codes mean for whoever decides what happens next.

Of Twilio: https://www.twilio.com/docs/api/errors. Everything that is not here is a
failure of which nobody knows more.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Meaning = Literal["bad address", "opted out", "later", "filtered", "busy", "unsure"]

# Ours, where a provider gives none. `UNSURE`: the provider cannot be asked whether it
# took the message, and such a message is never sent again.
GONE, BAD_ADDRESS, UNSURE, NO_CHANNEL = "gone", "bad address", "unsure", "no channel"

# 21211 is no telephone number at all; the others are numbers that texts do not reach
# and that a call may.
NO_NUMBER = frozenset({"21211", "21217"})

MEANING: Mapping[str, Meaning] = MappingProxyType(
    {
        "21211": "bad address",
        "21217": "bad address",
        "21614": "bad address",
        "30005": "bad address",
        "30006": "bad address",
        "21610": "opted out",
        "30003": "later",
        "30007": "filtered",
        "20429": "busy",
        GONE: "bad address",
        BAD_ADDRESS: "bad address",
        UNSURE: "unsure",
    }
)


def meaning(code: str | None) -> Meaning | None:
    """Return what a code means, None when it says nothing to us."""
    return MEANING.get(code or "")
