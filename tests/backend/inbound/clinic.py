"""Twilio as it calls us: signed, against the public address."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID
from xml.etree.ElementTree import Element, fromstring

import httpx
from sqlmodel import select

from backend.database import transaction
from backend.inbound.tables import InboundMessage
from tests.notifications.twilio_signature import signature

PUBLIC, TOKEN = "https://clinic.example", "12345"
ROSA, OUR_NUMBER = "+41790000001", "+15005550006"


@dataclass(frozen=True)
class Twilio:
    """Hands over what people write and press."""

    client: httpx.Client

    def post(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        token: str = TOKEN,
        at: str = PUBLIC,
        header: bool = True,
    ) -> httpx.Response:
        signed = {"X-Twilio-Signature": signature(at + path, form, token)}
        return self.client.post(path, data=form, headers=signed if header else {})

    def text(
        self, body: str, *, sender: str = ROSA, sid: str = "SM1", **more: str
    ) -> httpx.Response:
        form = {"MessageSid": sid, "From": sender, "To": OUR_NUMBER, "Body": body}
        return self.post("/v1/twilio/messages", {**form, **more})

    def answer(self, body: str, *, sender: str = ROSA, sid: str = "SM1") -> str:
        """Text and return the words that come back, "" for none."""
        answered = self.text(body, sender=sender, sid=sid)
        assert answered.status_code == 200, answered.text
        return words(answered)

    def keys(self, message_id: UUID, digits: str, *, call: str = "CA1") -> Element:
        form = {"CallSid": call, "Digits": digits, "To": ROSA, "From": OUR_NUMBER}
        answered = self.post(f"/v1/twilio/keys?message={message_id}", form)
        assert answered.status_code == 200, answered.text
        return fromstring(answered.text)


def words(answered: httpx.Response) -> str:
    assert answered.headers["content-type"].startswith("application/xml")
    return fromstring(answered.text).findtext("Message") or ""


def came_in() -> list[InboundMessage]:
    with transaction() as session:
        ordered = select(InboundMessage).order_by(InboundMessage.provider_id)  # pyright: ignore[reportArgumentType]
        return list(session.exec(ordered))
