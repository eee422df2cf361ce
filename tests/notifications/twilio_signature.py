"""Twilio's signature, written from its description and not from its package.

"Take the full URL, append each POST variable's name and value in the alphabetical
order of the names without delimiters, sign with HMAC-SHA1 by your AuthToken, base64."
https://www.twilio.com/docs/usage/security#validating-requests
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def signature(address: str, form: Mapping[str, str], token: str) -> str:
    text = address + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
