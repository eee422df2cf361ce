"""The two pages behind a mail's link: a button, and that it was pressed."""

from html import escape
from urllib.parse import urlencode
from uuid import UUID

from notifications.channels.email import UNSUBSCRIBE
from notifications.wording import say


def unsubscribe_page(language: str, *, message: UUID, reference: str) -> str:
    """Return the page that asks whether mails shall end."""
    asked = urlencode({"message": message, "ref": reference})
    button = escape(say("unsubscribe_button", language))
    form = f"""<form method="post" action="{escape(f"{UNSUBSCRIBE}?{asked}")}">
<button class="primary" type="submit">{button}</button>
</form>"""
    return _page(language, say("unsubscribe_ask", language), form)


def unsubscribed_page(language: str) -> str:
    """Return the page that says that mails have ended."""
    return _page(language, say("unsubscribe_done", language), "")


def _page(language: str, title: str, more: str) -> str:
    return f"""<!doctype html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main class="sign-in">
<h1>{escape(title)}</h1>
{more}
</main>
</body>
</html>
"""
