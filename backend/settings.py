"""Every knob, from the environment: DOSELOOP_ and the name in capitals."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.errors import Refused


def _seconds(given: object) -> object:
    """Read plain numbers as seconds, which pydantic does with numbers but not text."""
    try:
        return float(given) if isinstance(given, str) else given
    except ValueError:
        return given


Seconds = Annotated[
    timedelta, BeforeValidator(_seconds), Field(ge=timedelta(milliseconds=50))
]


class WrongSetting(Refused):
    """A variable of the environment cannot be what it is set to."""


class Settings(BaseSettings):
    """What an operator can set; set to nothing is unset.

    Durations are seconds or ISO 8601 ("PT10S").
    """

    model_config = SettingsConfigDict(
        env_prefix="DOSELOOP_", env_ignore_empty=True, frozen=True
    )

    # The database
    database_url: str | None = None  # unset: the embedded server, data in data_dir
    owner_url: str | None = None  # for migrations, when another role owns the tables
    data_dir: Path = Path(".doseloop")
    database_user: str | None = None  # as root: the account that runs the server
    threads: int = Field(default=20, ge=1, le=90)  # and connections, one a thread
    statement_timeout: Seconds = timedelta(seconds=30)

    # The web
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str | None = None  # what links in messages and callbacks start with
    body_limit: int = Field(default=4 * 2**20, ge=1024)  # octets of one request

    # The jobs
    deliver_every: Seconds = timedelta(seconds=1)
    screen_every: Seconds = timedelta(seconds=5)
    seal_every: Seconds = timedelta(seconds=10)  # the audit promises 60 s

    # Messages
    twilio_account: str | None = None
    twilio_token: SecretStr | None = None  # unset: messages go to the log
    twilio_sender: str | None = None  # a number in E.164 or a messaging service
    # unset: what Twilio takes from a number of the sender's kind
    twilio_texts_per_second: float | None = Field(default=None, gt=0, le=10_000)
    twilio_caller: str | None = None  # a number in E.164 that calls, unset: the sender
    smtp_host: str | None = None  # unset: no mail
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"  # none: loopback
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    mail_sender: str | None = None  # a mailbox, as Clinic <doses@clinic.example>
    push_key: SecretStr | None = None  # VAPID, as `python -m backend push-key` prints
    push_contact: str | None = None  # mailto: or https:, for those who run push servers
    webhook_url: str | None = None  # where operators are told what goes wrong
    operator_mail: str | None = None  # and the mailbox
    heartbeat_url: str | None = None  # called while a worker ticks, by any such service
    webhook_secret: SecretStr | None = None  # whsec_ and base64, Standard Webhooks

    # A demo may let domain time run faster and prints its sign-ins
    demo: bool = False

    @property
    def address(self) -> str:
        """The public address without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


@cache
def settings() -> Settings:
    """Return the settings, read once; raises WrongSetting without quoting a value."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"DOSELOOP_{str(breach['loc'][0]).upper()}: {breach['msg']}"
            for breach in error.errors(include_input=False)
        ]
        raise WrongSetting("; ".join(wrong)) from None
