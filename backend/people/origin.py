"""Whether a browser's request comes from a page of ours, and the cookie it carries."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from backend.people.sessions import LONGEST
from backend.settings import settings


def secure() -> bool:
    """Tell whether browsers reach us by https."""
    return settings().address.startswith("https://")


def cookie_name() -> str:
    """Return the cookie's name; `__Host-` binds it to this very host, by https only."""
    return "__Host-doseloop" if secure() else "doseloop"


def set_cookie(response: Response, token: str) -> None:
    response.set_cookie(
        cookie_name(),
        token,
        max_age=int(LONGEST.total_seconds()),
        path="/",
        secure=secure(),
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response) -> None:
    response.delete_cookie(
        cookie_name(), path="/", secure=secure(), httponly=True, samesite="lax"
    )


def ours(request: Request) -> bool:
    """Tell whether an unsafe request comes from our own origin, as the browser says.

    Every browser sends Origin with a form; what sends neither it nor Sec-Fetch-Site
    is no browser and cannot be made to carry somebody's cookie.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        return site in ("same-origin", "none")
    public = urlsplit(settings().address)
    asked_by = urlsplit(origin)
    if secure() and asked_by.scheme != "https":
        return False
    return asked_by.netloc in (public.netloc, request.headers.get("Host"))


def local(target: str | None, *, otherwise: str) -> str:
    """Return where to go after signing in: a path of ours, never another site."""
    path = (target or "").strip()
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        return otherwise
    return path if path.isprintable() and "\\" not in path else otherwise
