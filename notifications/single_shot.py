"""The HTTP client under Twilio's: one request for one call, and an end to waiting.

The client that comes with the package waits for ever by default and can be told to
retry; a retried post is a second message.
"""

from datetime import timedelta
from typing import Any

import httpx
from twilio.http import HttpClient
from twilio.http.response import Response

from notifications.message import NotificationError

TWILIO = "https://api.twilio.com"


class NotSent(NotificationError):
    """No connection came about, so the provider cannot have seen the request."""


class MaybeSent(NotificationError):
    """The request may have arrived; the answer did not."""


class SingleShot(HttpClient):
    """Sends each request once. `at` is another host that speaks Twilio's language."""

    def __init__(self, *, timeout: timedelta, at: str = TWILIO) -> None:
        self._at = at.rstrip("/")
        self._client = httpx.Client(
            timeout=timeout.total_seconds(),
            transport=None if at == TWILIO else httpx.HTTPTransport(retries=0),
            follow_redirects=False,
        )

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002
        allow_redirects: bool = False,  # noqa: ARG002, FBT001
    ) -> Response:
        """Return the answer; raises NotSent or MaybeSent when there is none."""
        try:
            answer = self._client.request(
                method,
                uri.replace(TWILIO, self._at, 1),
                params=params,
                data=data,
                headers=headers,
                auth=auth,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(type(error).__name__) from error
        except httpx.TransportError as error:
            raise MaybeSent(type(error).__name__) from error
        return Response(answer.status_code, answer.text, dict(answer.headers))

    def close(self) -> None:
        self._client.close()
