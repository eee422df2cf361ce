"""How operators hear of workers: past the queue, which may be what fails."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from backend.clock import DomainClock
from backend.database import transaction
from backend.outbox.beat import beats
from backend.outbox.watch import Notice, to_tell, told, troubles
from notifications.message import Channel, Message, SendFailed

log = logging.getLogger(__name__)

OUTDATED = timedelta(hours=1)  # what a notice is worth

Tell = Callable[[Notice], bool]


class Addresses(Protocol):
    """Where operators are reached; nothing set: by the log alone."""

    @property
    def webhook_url(self) -> str | None: ...
    @property
    def operator_mail(self) -> str | None: ...


def look(tell: Tell, *, clock: DomainClock, real: datetime) -> int:
    """Have the operator told what nobody has told yet; return how many notices."""
    with transaction() as session:
        wrong = troubles(session, beats(session), clock=clock, real=real)
        notices = to_tell(session, wrong, real=real)
    heard = [notice for notice in notices if tell(notice)]
    if heard:
        with transaction() as session:
            told(session, heard, real=real)
    return len(notices)


def tell_operator(
    channels: Mapping[str, Channel], addresses: Addresses, notice: Notice
) -> bool:
    """Say it in the log and to every address; return whether somebody heard it."""
    if notice.wrong is None:
        log.info("over", extra={"topic": notice.topic})
    else:
        log.error("wrong", extra={"topic": notice.topic, "what": notice.wrong})
    known = {"webhook": addresses.webhook_url, "email": addresses.operator_mail}
    wanted = {name: address for name, address in known.items() if address}
    heard = [
        _sent(channels[name], address, notice)
        for name, address in wanted.items()
        if name in channels
    ]
    return any(heard) or not wanted


def _sent(channel: Channel, address: str, notice: Notice) -> bool:
    at = f"{notice.since:%Y-%m-%d %H:%M:%S} UTC"
    said = notice.wrong or f"It works again: {notice.topic}."
    # One id a change, so that a receiver knows a notice that comes twice.
    name = f"{notice.topic}/{notice.since.isoformat()}/{notice.wrong is None}"
    message = Message(
        uuid5(NAMESPACE_URL, name), address, f"Doseloop, {at}: {said}", "", OUTDATED
    )
    try:
        channel.send(message)
    except SendFailed as failed:
        log.warning("operator not reached", extra={"code": failed.code})
        return False
    return True
