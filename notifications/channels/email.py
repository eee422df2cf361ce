"""Mail over SMTP, always encrypted but to this very machine.

At most once. A server that took a mail cannot be asked about it, so that one of which
nobody knows whether it went is not sent again.
"""

import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP as HEADERS
from email.utils import format_datetime, formataddr, localtime, parseaddr
from html import escape
from typing import Self
from urllib.parse import urlencode

from notifications.codes import BAD_ADDRESS
from notifications.message import ChannelSettings, Message, Receipt, SendFailed
from notifications.wording import say, without_reference

TIMEOUT = timedelta(seconds=10)
UNSUBSCRIBE = "/v1/unsubscribe"
# Without encryption only where nothing is sent over a wire.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# RFC 3463: the mailbox or its domain is wrong. Of these nobody is there to be asked.
NO_MAILBOX = re.compile(rb"\b5\.(?:1\.(?:1|2|3|6|10)|2\.1)\b")
OURS = frozenset({454, 530, 534, 535, 538})  # our credentials, and no fault of the mail


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail. `security`: `starttls`, `tls`, or `none`."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str | None = None
    password: str | None = None


class EmailChannel:
    """`sender` is a mailbox, as `Clinic <doses@clinic.example>`."""

    per_second: float | None = None
    at_once = 4  # connections, which a mail server counts

    def __init__(
        self,
        relay: Relay,
        sender: str,
        *,
        public: str,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._relay = relay
        self._sender = sender
        self._public = public.rstrip("/")
        self._trust = trust

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        host, sender, public = (
            settings.smtp_host,
            settings.mail_sender,
            settings.public_url,
        )
        if not (host and sender and public):
            return None
        password = settings.smtp_password
        relay = Relay(
            host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user,
            password.get_secret_value() if password else None,
        )
        return cls(relay, sender, public=public)

    def send(self, message: Message) -> Receipt:
        """Hand one mail to the server; a mail that bounces later is not heard of."""
        try:
            written = mail(message, sender=self._sender, public=self._public)
        except ValueError as error:  # a line break, or no address at all
            raise SendFailed(BAD_ADDRESS, retry=False) from error
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            raise SendFailed("unreachable", retry=True) from error
        try:
            _hand_over(server, self._sender, message, written)
        finally:
            # Whether the server says goodbye changes nothing.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()
        return Receipt(str(written["Message-ID"]))

    def look_up(self, message: Message) -> None:
        """Return None: a mail server cannot be asked."""

    def _connected(self) -> smtplib.SMTP:
        relay, wait = self._relay, TIMEOUT.total_seconds()
        if relay.security == "tls":
            server = smtplib.SMTP_SSL(
                relay.host, relay.port, timeout=wait, context=self._trust()
            )
        else:
            server = smtplib.SMTP(relay.host, relay.port, timeout=wait)
        try:
            if relay.security == "starttls":
                server.starttls(context=self._trust())
            elif relay.security == "none" and relay.host not in LOOPBACK:
                raise smtplib.SMTPNotSupportedError("not without encryption")
            if relay.user is not None:
                server.login(relay.user, relay.password or "")
        except BaseException:
            server.close()
            raise
        return server


def mail(message: Message, *, sender: str, public: str) -> EmailMessage:
    """Return the mail: plain and HTML, never answered by machines, easily ended.

    Its id follows from the message, so that a second copy would be known as one. RFC
    3834 (Auto-Submitted), RFC 8058 (one click ends it).
    """
    name, address = parseaddr(sender)
    link = unsubscribe_link(public, message)
    words = {
        "text": without_reference(message.body, message.reference),
        "unsubscribe": say("mail_unsubscribe", message.language),
        "why": say("mail_why", message.language),
    }
    written = EmailMessage(HEADERS.clone(utf8=not message.to.isascii()))
    written["From"] = formataddr((name, address))
    written["To"] = message.to
    written["Subject"] = say("mail_subject", message.language)
    written["Date"] = format_datetime(localtime())
    written["Message-ID"] = f"<{message.message_id}@{address.rpartition('@')[2]}>"
    written["Auto-Submitted"] = "auto-generated"
    written["X-Auto-Response-Suppress"] = "All"
    written["List-Unsubscribe"] = f"<{link}>"
    written["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    written["Content-Language"] = message.language
    written.set_content(PLAIN.format(**words, link=link))
    written.add_alternative(
        HTML.format(
            **{key: escape(said) for key, said in words.items()},
            link=escape(link),
            language=escape(message.language),
        ),
        subtype="html",
    )
    return written


def unsubscribe_link(public: str, message: Message) -> str:
    """Return the address that ends mails; who got this one knows both its parts."""
    asked = urlencode({"message": message.message_id, "ref": message.reference})
    return f"{public}{UNSUBSCRIBE}?{asked}"


def _hand_over(
    server: smtplib.SMTP, sender: str, message: Message, written: EmailMessage
) -> None:
    """Say the mail to the server; raises SendFailed.

    Until the last line of it is sent nothing was accepted; from there to the server's
    answer nobody knows.
    """
    try:
        server.ehlo_or_helo_if_needed()
        options = _options(server, message)
        _demand(server.mail(parseaddr(sender)[1], options))
        _demand(server.rcpt(message.to))
    except (smtplib.SMTPException, OSError) as error:
        raise SendFailed("unreachable", retry=True) from error
    try:
        _demand(server.data(written.as_bytes()))
    except smtplib.SMTPDataError as error:
        raise _refused(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise SendFailed("no answer", retry=None) from error


def _options(server: smtplib.SMTP, message: Message) -> list[str]:
    if message.to.isascii():
        return []
    if not server.has_extn("smtputf8"):
        raise SendFailed(BAD_ADDRESS, retry=False)
    return ["SMTPUTF8", "BODY=8BITMIME"]


def _demand(answer: tuple[int, bytes]) -> None:
    code, words = answer
    if not 200 <= code < 300:
        raise _refused(code, words)


def _refused(code: int, words: bytes | str) -> SendFailed:
    """Return what a reply says: RFC 5321 4.2.1, 4xx may go later, 5xx never will."""
    told = words if isinstance(words, bytes) else words.encode()
    if code in OURS or code < 500:
        return SendFailed(f"smtp {code}", retry=True)
    if NO_MAILBOX.search(told):
        return SendFailed(BAD_ADDRESS, retry=False)
    return SendFailed(f"smtp {code}", retry=False)


# Two dashes and a space begin a signature (RFC 3676, 4.3).
PLAIN = "{text}\n\n-- \n{why}\n{unsubscribe}: {link}\n"

HTML = """\
<!doctype html>
<html lang="{language}">
<body style="font-family:sans-serif;font-size:16px;line-height:1.5;color:#1a1a1a">
<p>{text}</p>
<hr style="border:0;border-top:1px solid #767676">
<p style="font-size:14px">{why}<br><a href="{link}">{unsubscribe}</a></p>
</body>
</html>
"""

CHANNEL = EmailChannel
