"""Networks and members in SQLite: records as JSON, one row each; decisions know nothing of it."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ztlink.controller.fields import FieldError
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.errors import ConfigError
from ztlink.ids import Address, NetworkId, parse_address, parse_network_id

_SCHEMA: Final = """
CREATE TABLE clock (ceiling INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE network (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE member (
    network TEXT NOT NULL, address TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
"""
MIGRATIONS: Final = (_SCHEMA,)
"""Script i takes a database of version i to version i + 1, as a whole or not at all."""
SCHEMA_VERSION: Final = len(MIGRATIONS)


class ControllerStore:
    """One database; `:memory:` for tests."""

    def __init__(self, file: Path | str) -> None:
        self._file = file
        try:
            if str(file) != ":memory:":
                _make_private(Path(file))
            self._db = sqlite3.connect(file, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            with self._guarded():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._migrate()
        except ConfigError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def ceiling(self) -> int:
        """Return a time, in Unix milliseconds, that no credential issued so far is past."""
        with self._guarded():
            (value,) = self._db.execute("SELECT ceiling FROM clock").fetchone()
            return int(value)

    def raise_ceiling(self, unix_ms: int) -> None:
        """Keep that credentials may be issued up to this time."""
        self._write("UPDATE clock SET ceiling = ?", (unix_ms,))

    def networks(self) -> list[NetworkRecord]:
        """Return all networks, by id."""
        with self._guarded():
            rows = self._db.execute("SELECT record FROM network ORDER BY id")
            return [_network(json.loads(row[0])) for row in rows]

    def members(self) -> list[MemberRecord]:
        """Return all members of all networks."""
        with self._guarded():
            rows = self._db.execute("SELECT record FROM member ORDER BY network, address")
            return [_member(json.loads(row[0])) for row in rows]

    def put_network(self, network: NetworkRecord) -> None:
        """Keep a network."""
        row = (f"{network.network_id:016x}", json.dumps(network.to_json()))
        self._write("INSERT OR REPLACE INTO network VALUES (?, ?)", row)

    def put_member(self, member: MemberRecord) -> None:
        """Keep a member."""
        row = (
            f"{member.network_id:016x}",
            f"{member.address:010x}",
            json.dumps(member.to_json()),
        )
        self._write("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", row)

    def delete_network(self, network_id: NetworkId) -> None:
        """Forget a network and its members."""
        key = (f"{network_id:016x}",)
        self._write("DELETE FROM member WHERE network = ?", key)
        self._write("DELETE FROM network WHERE id = ?", key)

    def delete_member(self, network_id: NetworkId, address: Address) -> None:
        """Forget a member."""
        key = (f"{network_id:016x}", f"{address:010x}")
        self._write("DELETE FROM member WHERE network = ? AND address = ?", key)

    def _write(self, statement: str, values: tuple[int | str, ...]) -> None:
        with self._guarded():
            self._db.execute(statement, values)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the database refuses, and records that are none, into our own error."""
        try:
            yield
        except (sqlite3.Error, FieldError, ValueError, KeyError, TypeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"the controller's database {self._file} cannot be used ({error}): make room and give "
            "access, restore it from a backup, or move it away"
        )

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"the controller's database has version {version}, this program knows up to "
                f"{SCHEMA_VERSION}: use the program that wrote it"
            )
        for number in range(version, SCHEMA_VERSION):
            step = f"{MIGRATIONS[number]}; PRAGMA user_version = {number + 1};"
            self._db.executescript(f"BEGIN; {step} COMMIT;")


def _make_private(file: Path) -> None:
    """Make the file before SQLite does: what lies beside it takes over its mode."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    file.chmod(0o600)


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
