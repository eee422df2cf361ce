"""What is shown before anybody is known: signing in, and refusals."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class DemoAccount:
    """A sign-in that a demonstration shows to everybody."""

    label: str
    login: str
    password: str


@dataclass(frozen=True)
class SignInPage:
    """`problem` says why the last try failed, the same for every cause but lockout."""

    template: ClassVar[str] = "sign_in.html"
    section: ClassVar[str] = "/sign-in"

    problem: str | None = None
    next_href: str = ""
    accounts: tuple[DemoAccount, ...] = ()


@dataclass(frozen=True)
class ErrorPage:
    """`title` says what happened, `advice` what to do; `reference` finds the log."""

    template: ClassVar[str] = "error.html"
    section: ClassVar[str] = ""

    status: int
    title: str
    advice: str
    reference: str | None = None
    home_href: str = "/"
