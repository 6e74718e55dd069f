"""Networks and members in SQLite: records as JSON, one row each; decisions know nothing of it."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.errors import ConfigError
from ztlink.ids import Address, NetworkId, parse_address, parse_network_id

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE clock (ceiling INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE network (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE member (
    network TEXT NOT NULL, address TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
"""
MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    lambda connection: connection.executescript(_SCHEMA).close(),
)
"""Step i takes a database of version i to version i + 1."""


class ControllerStore:
    """One database; `:memory:` for tests."""

    def __init__(self, file: Path | str) -> None:
        try:
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"the controller's database {file} cannot be used ({error}): "
                "restore it from a backup, or move it away"
            ) from error
        if str(file) != ":memory:":
            Path(file).chmod(0o600)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def ceiling(self) -> int:
        """Return a time, in Unix milliseconds, that no credential issued so far is past."""
        (value,) = self._db.execute("SELECT ceiling FROM clock").fetchone()
        return int(value)

    def raise_ceiling(self, unix_ms: int) -> None:
        """Keep that credentials may be issued up to this time."""
        self._db.execute("UPDATE clock SET ceiling = ?", (unix_ms,))

    def networks(self) -> list[NetworkRecord]:
        """Return all networks, by id."""
        rows = self._db.execute("SELECT record FROM network ORDER BY id")
        return [_network(json.loads(row[0])) for row in rows]

    def members(self) -> list[MemberRecord]:
        """Return all members of all networks."""
        rows = self._db.execute("SELECT record FROM member ORDER BY network, address")
        return [_member(json.loads(row[0])) for row in rows]

    def put_network(self, network: NetworkRecord) -> None:
        """Keep a network."""
        row = (f"{network.network_id:016x}", json.dumps(network.to_json()))
        self._db.execute("INSERT OR REPLACE INTO network VALUES (?, ?)", row)

    def put_member(self, member: MemberRecord) -> None:
        """Keep a member."""
        row = (
            f"{member.network_id:016x}",
            f"{member.address:010x}",
            json.dumps(member.to_json()),
        )
        self._db.execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", row)

    def delete_network(self, network_id: NetworkId) -> None:
        """Forget a network and its members."""
        key = (f"{network_id:016x}",)
        self._db.execute("DELETE FROM member WHERE network = ?", key)
        self._db.execute("DELETE FROM network WHERE id = ?", key)

    def delete_member(self, network_id: NetworkId, address: Address) -> None:
        """Forget a member."""
        key = (f"{network_id:016x}", f"{address:010x}")
        self._db.execute("DELETE FROM member WHERE network = ? AND address = ?", key)

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"the controller's database has version {version}, this program knows up to "
                f"{SCHEMA_VERSION}: use the program that wrote it"
            )
        for number in range(version, SCHEMA_VERSION):
            MIGRATIONS[number](self._db)
            self._db.execute(f"PRAGMA user_version = {number + 1}")


def _network(content: dict[str, Any]) -> NetworkRecord:
    bare = NetworkRecord(
        parse_network_id(content["id"]), content["creationTime"], revision=content["revision"]
    )
    return bare.updated(content)


def _member(content: dict[str, Any]) -> MemberRecord:
    bare = MemberRecord(
        parse_network_id(content["nwid"]),
        parse_address(content["address"]),
        content["creationTime"],
        authorized=content["authorized"],
        revision=content["revision"],
        identity=content["identity"],
        last_authorized_unix_ms=content["lastAuthorizedTime"],
        last_deauthorized_unix_ms=content["lastDeauthorizedTime"],
        credential_type=content["lastAuthorizedCredentialType"],
        credential=content["lastAuthorizedCredential"],
        version=(content["vMajor"], content["vMinor"], content["vRev"]),
        protocol=content["vProto"],
    )
    return bare.updated(content, 0)
