"""Secrets that are handed out once and kept only as hashes."""

import secrets
from hashlib import sha256

BYTES = 32  # 256 random bits need no salt and no slow hash


def new_token() -> str:
    """Return a secret that nobody can guess, safe in a header, cookie or URL."""
    return secrets.token_urlsafe(BYTES)


def hash_of(token: str) -> bytes:
    """Return the form in which a secret is stored and looked up."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
