"""Everything the backend refuses on purpose, and how that reads over HTTP.

The only place that knows HTTP codes. Answers are problem documents (RFC 9457).
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MOST_BREACHES = 20
LONGEST_TEXT = 200


class Refused(Exception):
    """Base of all errors this package raises on purpose.

    `detail` is one sentence for whoever asked; `facts` are members of the problem
    document. Neither may hold what the asker is not allowed to know.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.facts = facts

    @classmethod
    def code(cls) -> str:
        """The stable name of this refusal: AlreadyClosed is `already_closed`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        return cls.code().replace("_", " ").capitalize()

    def headers(self) -> dict[str, str]:
        """Header fields of the answer, none by default."""
        return {}


class Unauthenticated(Refused):
    """Nobody is signed in, or the token is wrong, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Refused):
    """The reader is known and may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Refused):
    """There is no such thing, or none this reader may know of."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Refused):
    """The request is fine but the present state does not allow it."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Refused):
    """The row was changed since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class TooSlow(Refused):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class TooLarge(Refused):
    """The body exceeds the limit, which is the fact `limit` in octets."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(Refused):
    """The content type is not one that this route reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(Refused):
    """The body was read and breaks a rule of the domain."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Locked(Refused):
    """Too many failed attempts: closed for a while."""

    status = HTTPStatus.LOCKED


class TooManyRequests(Refused):
    """Ask again after the fact `retry_after`, in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str = "", *, retry_after: int, **facts: object) -> None:
        super().__init__(detail, retry_after=retry_after, **facts)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Unavailable(Refused):
    """A part this needs, mostly the database, is away for the moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class Problem(NamedTuple):
    """An answer, before a web framework makes a response of it."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, object]


def problem(error: Exception) -> Problem:
    """Return the problem document for any exception.

    What was not refused on purpose becomes a 500 that tells nothing of the inside.
    """
    if not isinstance(error, Refused):
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")
    return _problem(
        error.status,
        error.code(),
        error.title(),
        error.detail,
        error.facts,
        error.headers(),
    )


def http_problem(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem for a bare status, such as an unknown path's 404."""
    known = HTTPStatus(status)
    code = known.phrase.lower().replace(" ", "_").replace("-", "_")
    return _problem(known, code, headers=headers or {})


def breach_problem(breaches: Iterable[Mapping[str, Any]]) -> Problem:
    """Return what is wrong with a body, by place, without the values that were sent.

    A body that is no JSON is a 400, one that breaks the schema a 422. A value may be
    personal or a megabyte, so only the rule that it breaks is said.
    """
    listed = [
        {
            "at": _pointer(breach["loc"]),
            "code": str(breach["type"]),
            "message": _without_values(str(breach["type"]), str(breach["msg"])),
        }
        for breach in breaches
    ]
    unreadable = any(item["code"] == "json_invalid" for item in listed)
    refusal: type[Refused] = Malformed if unreadable else Unprocessable
    detail = "The body is not JSON." if unreadable else "The request breaks its schema."
    facts: dict[str, object] = {
        "breaches": listed[:MOST_BREACHES],
        "breach_count": len(listed),
    }
    return problem(refusal(detail, **facts))


class Malformed(Refused):
    """The request cannot be read at all."""


def install(app: "FastAPI") -> None:
    """Let every error of `app` be answered as a problem document."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import Response
    from orjson import dumps
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout
    from starlette.exceptions import HTTPException

    def answer(made: Problem) -> Response:
        body = dumps(made.document, default=str)
        return Response(body, made.status, dict(made.headers), MEDIA_TYPE)

    def refused(_request: "Request", error: Exception) -> "Response":
        return answer(problem(error))

    def unavailable(request: "Request", error: Exception) -> "Response":
        log.warning(
            "database unavailable",
            extra={"path": request.url.path, "kind": type(error).__name__},
        )
        return answer(problem(Unavailable("The database does not answer. Try again.")))

    def unknown(request: "Request", error: Exception) -> "Response":
        # Starlette raises the error again behind this answer, so a server logs it.
        log.error(
            "unexpected error",
            extra={"path": request.url.path, "kind": type(error).__name__},
        )
        return answer(problem(error))

    def breached(_request: "Request", error: Exception) -> "Response":
        breaches: Sequence[Mapping[str, Any]] = (
            error.errors() if isinstance(error, RequestValidationError) else ()
        )
        return answer(breach_problem(breaches))

    def bare(_request: "Request", error: Exception) -> "Response":
        if not isinstance(error, HTTPException):
            return answer(problem(error))
        return answer(http_problem(error.status_code, error.headers))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, breached)
    app.add_exception_handler(HTTPException, bare)
    app.add_exception_handler(OperationalError, unavailable)
    app.add_exception_handler(PoolTimeout, unavailable)
    app.add_exception_handler(Exception, unknown)


def _problem(
    status: HTTPStatus,
    code: str,
    title: str = "",
    detail: str = "",
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Problem:
    document: dict[str, object] = {
        **(facts or {}),
        "type": f"urn:doseloop:problem:{code}",
        "title": title or status.phrase,
        "status": int(status),
    }
    if detail:
        document["detail"] = detail
    return Problem(int(status), headers or {}, document)


def _pointer(place: Sequence[object]) -> str:
    """The place of a breach as `body.items.3.epoch`; a sent key is cut short."""
    return ".".join(str(part)[:LONGEST_TEXT] for part in place[:10])


def _without_values(code: str, message: str) -> str:
    """The message when pydantic wrote it, the code when it may quote what was sent."""
    quotes_input = code in {"value_error", "assertion_error", "json_invalid"}
    return code.replace("_", " ") if quotes_input else message[:LONGEST_TEXT]
