"""Columns of many rows as PostgreSQL array literals, the cheapest way to send them.

The driver writes an array in Python, sign by sign with regular expressions, and that
alone cost a worker more than all else it does for a message. JSON's list of strings
is an array literal already, but for the brackets and its named escapes.
"""

import re
from collections.abc import Iterable

import orjson

# A backslash that does not quote a quotation mark or another backslash.
NAMED_ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\[^"\\]')


def array(values: Iterable[object]) -> str:
    """Return an array literal of texts, numbers, UUIDs or aware datetimes.

    None is NULL. The statement says what it is an array of: `%(ids)s::uuid[]`.
    """
    listed = list(values)
    dumped = orjson.dumps(listed).decode()
    if "\\" in dumped and NAMED_ESCAPE.search(dumped):
        return "{" + ",".join(map(_element, listed)) + "}"
    return "{" + dumped[1:-1] + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    quoted = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
