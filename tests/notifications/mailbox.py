"""A mail server on the loopback, encrypted, that fails as it is told."""

import asyncio
import datetime
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Mailbox:
    """What was taken is in `got`. An answer that is set goes instead of the usual.

    `hangs_up`: the server takes the mail and goes away without a word.
    """

    got: list[EmailMessage] = field(default_factory=list[EmailMessage])
    envelopes: list[Envelope] = field(default_factory=list[Envelope])
    to_rcpt: str | None = None
    to_data: str | None = None
    hangs_up: bool = False
    port: int = 0

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        to: str,
        _how: object,
    ) -> str:
        if self.to_rcpt is None:
            envelope.rcpt_tos.append(to)
        return self.to_rcpt or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.to_data is not None:
            return self.to_data
        content = envelope.content
        assert isinstance(content, bytes)
        self.got.append(message_from_bytes(content, policy=default))
        self.envelopes.append(envelope)
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 OK"


def authenticate(
    _server: SMTP,
    _session: Session,
    _envelope: Envelope,
    _how: str,
    data: LoginPassword,
) -> AuthResult:
    return AuthResult(success=data.password == b"right", handled=False)


@dataclass(frozen=True)
class Certificate:
    file: Path

    def served(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))


def a_certificate(folder: Path) -> Certificate:
    """Return a certificate for the loopback, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "loopback.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return Certificate(file)


class OnAnyPort(Controller):
    """Calls itself to see that it listens, at the port that it was given."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port: int = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Generator[Mailbox]:  # noqa: ANN401
    """Serve the mailbox on a free port."""
    server = OnAnyPort(
        mailbox, hostname="127.0.0.1", port=0, enable_SMTPUTF8=True, **options
    )
    server.start()
    try:
        mailbox.port = server.port
        yield mailbox
    finally:
        server.stop()
