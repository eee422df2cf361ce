"""Passwords: kept as Argon2id, and judged in the same time whoever asks."""

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
LONGEST = 1000  # characters; more is an attempt to keep us busy

# Each hash takes 64 MiB (RFC 9106, low memory): never as many at once as threads.
_HASHER = PasswordHasher()
_TURN = BoundedSemaphore(4)

# Nobody's password: judged where there is no account, so that it takes as long.
NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$Cc/4wOQm5k5fkm/337R4OA"
    "$67Q/eu/p3oZKwp8ig/oOWz56TStmNCQBa8MUPxsPsZE"
)


def hashed(password: str) -> str:
    """Return what to keep of a password. Takes a tenth of a second and 64 MiB."""
    with _TURN:
        return _HASHER.hash(password)


def fits(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is right; None takes as long as any and never fits.

    Call it outside transactions.
    """
    if len(password) > LONGEST:
        password, password_hash = "", None
    with _TURN:
        try:
            _HASHER.verify(password_hash or NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)
