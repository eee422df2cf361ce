"""The bridge's own address and its bonds, on disk: losing them means pairing again."""

import json
import sqlite3
from pathlib import Path

from bumble import hci
from bumble.keys import KeyStore, PairingKeys

from device_bridge.errors import QueueUnavailable
from device_bridge.private import private_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS bond (
    peer TEXT PRIMARY KEY, keys TEXT NOT NULL, confirmed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS own (address TEXT NOT NULL);
"""


class BondStore(KeyStore):
    """Bonds by identity address; every change is synced before it counts."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(private_file(path), isolation_level=None)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)
        columns = [row[1] for row in self._db.execute("PRAGMA table_info(bond)")]
        if "confirmed" not in columns:  # before there was one, a bond counted at once
            added = "ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1"
            self._db.execute(f"ALTER TABLE bond {added}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def own_address(self) -> hci.Address:
        """Return the static random address this bridge was given at its first start."""
        row = self._db.execute("SELECT address FROM own").fetchone()
        if row is None:
            made = hci.Address.generate_static_address()
            self._db.execute("INSERT INTO own VALUES (?)", (made.to_string(),))
            return made
        return hci.Address(row[0], hci.Address.RANDOM_DEVICE_ADDRESS)

    async def delete(self, name: str) -> None:
        self._db.execute("DELETE FROM bond WHERE peer = ?", (name,))

    async def update(self, name: str, keys: PairingKeys) -> None:
        if keys.ltk is None:
            return  # of legacy pairing, which is refused
        self._db.execute(
            "INSERT OR REPLACE INTO bond (peer, keys) VALUES (?, ?)",
            (name, json.dumps(keys.to_dict())),
        )

    def confirm(self, name: str) -> None:
        """Note that the peer has the bond too; until then it may be made again."""
        self._db.execute("UPDATE bond SET confirmed = 1 WHERE peer = ?", (name,))

    def confirmed(self, name: str) -> bool:
        """Return whether the peer was seen to have the bond."""
        row = self._db.execute(
            "SELECT confirmed FROM bond WHERE peer = ?", (name,)
        ).fetchone()
        return bool(row and row[0])

    def check(self) -> None:
        """Raise QueueUnavailable if no bond can be kept: the peer would keep it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("UPDATE own SET address = address")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise QueueUnavailable(f"no bond can be kept: {error}") from error

    async def get(self, _name: str) -> PairingKeys | None:
        row = self._db.execute(
            "SELECT keys FROM bond WHERE peer = ?", (_name,)
        ).fetchone()
        return None if row is None else PairingKeys.from_dict(json.loads(row[0]))

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        rows = self._db.execute("SELECT peer, keys FROM bond").fetchall()
        return [(peer, PairingKeys.from_dict(json.loads(keys))) for peer, keys in rows]
