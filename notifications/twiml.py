"""Documents in Twilio's markup: what a call says and asks, and what a text answers.

Every word comes from the wording catalogues. https://www.twilio.com/docs/voice/twiml
"""

from collections.abc import Mapping
from types import MappingProxyType
from xml.etree.ElementTree import Element, SubElement, tostring

from notifications.wording import say

MEDIA_TYPE = "application/xml"
# Twilio speaks regional languages only; a tag with a region goes as it is.
SPOKEN: Mapping[str, str] = MappingProxyType(
    {"en": "en-US", "de": "de-DE", "es": "es-ES"}
)
SECONDS_TO_ANSWER = 8
TIMES = 2  # who puts the phone to the ear late has missed the first words
LONGEST = 4_000  # signs of a document that is sent with the request for a call


def text_answer(words: str) -> str:
    """Return what makes Twilio answer a text with these words, "" with nothing."""
    answer = Element("Response")
    if words:
        SubElement(answer, "Message").text = words
    return _document(answer)


def call_asking(
    words: str, language: str, *, keys_to: str, to_caregiver: bool = False
) -> str:
    """Return a call that says whose it is and these words, and asks for a key.

    Twice at most. A caregiver is asked for what a caregiver can answer.

    `keys_to` is the address that is told which key was pressed.
    """
    call = Element("Response")
    whose = "_caregiver" if to_caregiver else ""
    opening = say(f"voice_opening{whose}", language)
    keys = say(f"voice_keys{whose}", language)
    spoken = f"{opening} {words} {keys}"
    for _ in range(TIMES):
        asking = SubElement(
            call,
            "Gather",
            input="dtmf",
            numDigits="1",
            timeout=str(SECONDS_TO_ANSWER),
            action=keys_to,
            method="POST",
        )
        _say(asking, spoken, language)
    _say(call, say("voice_goodbye", language), language)
    return _document(call)


def call_saying(words: str, language: str) -> str:
    """Return the end of a call: these words, then nothing."""
    call = Element("Response")
    if words:
        _say(call, words, language)
    SubElement(call, "Hangup")
    return _document(call)


def _say(where: Element, words: str, language: str) -> None:
    primary, _, region = language.partition("-")
    known = SPOKEN.get(primary.lower())
    spoken = language if known and region else known or SPOKEN["en"]
    SubElement(where, "Say", language=spoken).text = words


def _document(root: Element) -> str:
    written = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>{written}'
