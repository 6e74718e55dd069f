"""Networks and members in SQLite: records as JSON, one row each; decisions know nothing of it.

A record is kept in the form that the REST API shows, so that whole lists are read and sent as they
lie here. Every change is a transaction: whoever is killed has lost nothing that was confirmed.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from ztlink.controller.kept import member_from_kept, network_from_kept, text_of
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.errors import ConfigError, ZtError
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
_NOTES: Final = """
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (
    network TEXT NOT NULL, address TEXT NOT NULL, unix_ms INTEGER NOT NULL, rules INTEGER NOT NULL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
"""
MIGRATIONS: Final = (_SCHEMA, _NOTES)
"""Script i takes a database of version i to version i + 1, as a whole or not at all."""
SCHEMA_VERSION: Final = len(MIGRATIONS)
_TABLES: Final = ("network", "member", "note")


class Seen(NamedTuple):
    """When a member asked last, and whether it has a rules engine."""

    network_id: NetworkId
    address: Address
    unix_ms: int
    rules: bool


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

    def put_seen(self, seen: Iterable[Seen]) -> None:
        """Keep when members asked last."""
        rows = [(f"{s.network_id:016x}", f"{s.address:010x}", s.unix_ms, s.rules) for s in seen]
        with self.transaction(), self._guarded():
            self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", rows)

    def seen_since(self, unix_ms: int) -> list[Seen]:
        """Return the members that asked at a time or later; the longest silent first."""
        with self._guarded():
            rows = self._db.execute(
                "SELECT * FROM seen WHERE unix_ms >= ? ORDER BY unix_ms", (unix_ms,)
            )
            return [
                Seen(parse_network_id(row[0]), parse_address(row[1]), row[2], bool(row[3]))
                for row in rows
            ]

    def raise_ceiling(self, unix_ms: int) -> None:
        """Keep that credentials may be issued up to this time."""
        self._write("UPDATE clock SET ceiling = ?", (unix_ms,))

    def networks(self) -> list[NetworkRecord]:
        """Return all networks, by id."""
        with self._guarded():
            rows = self._db.execute("SELECT record FROM network ORDER BY id")
            return [network_from_kept(json.loads(row[0])) for row in rows]

    def members(self) -> list[MemberRecord]:
        """Return all members of all networks."""
        with self._guarded():
            rows = self._db.execute("SELECT record FROM member ORDER BY network, address")
            return [member_from_kept(json.loads(row[0])) for row in rows]

    def member_texts(self, network_id: NetworkId) -> list[str]:
        """Return the members of a network as JSON each, by address."""
        with self._guarded():
            rows = self._db.execute(
                "SELECT record FROM member WHERE network = ? ORDER BY address",
                (f"{network_id:016x}",),
            )
            return [row[0] for row in rows]

    def note(self, name: str) -> str | None:
        """Return what was noted under a name."""
        with self._guarded():
            row = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
            return None if row is None else str(row[0])

    def put_note(self, name: str, value: str) -> None:
        """Note something of the database as a whole."""
        self._write("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def put_network(self, network: NetworkRecord) -> None:
        """Keep a network."""
        row = (f"{network.network_id:016x}", text_of(network))
        self._write("INSERT OR REPLACE INTO network VALUES (?, ?)", row)

    def put_member(self, member: MemberRecord) -> None:
        """Keep a member."""
        row = (f"{member.network_id:016x}", f"{member.address:010x}", text_of(member))
        self._write("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", row)

    def delete_network(self, network_id: NetworkId) -> None:
        """Forget a network and its members."""
        key = (f"{network_id:016x}",)
        with self.transaction():
            self._write("DELETE FROM member WHERE network = ?", key)
            self._write("DELETE FROM seen WHERE network = ?", key)
            self._write("DELETE FROM network WHERE id = ?", key)

    def delete_member(self, network_id: NetworkId, address: Address) -> None:
        """Forget a member."""
        key = (f"{network_id:016x}", f"{address:010x}")
        self._write("DELETE FROM member WHERE network = ? AND address = ?", key)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Have all that is written inside kept, or nothing of it."""
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        with self._guarded():
            self._db.execute("COMMIT")

    def restore(self, file: Path) -> None:
        """Take over the records of another database, of this version, in place of all of these.

        The ceiling stays where it is if it is the higher one.
        """
        with self._guarded():
            self._db.execute("ATTACH ? AS kept", (str(file),))
        try:
            with self.transaction(), self._guarded():
                for table in _TABLES:
                    self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
                    self._db.execute(f"INSERT INTO {table} SELECT * FROM kept.{table}")  # noqa: S608
                higher = "UPDATE clock SET ceiling = max(ceiling, (SELECT ceiling FROM kept.clock))"
                self._db.execute(higher)
        finally:
            self._db.execute("DETACH kept")

    def check(self) -> None:
        """Look at every page and every record; ConfigError where one is not good."""
        with self._guarded():
            (verdict,) = self._db.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise self._unusable(sqlite3.DatabaseError(verdict))
        self.networks()
        self.members()

    def _write(self, statement: str, values: tuple[int | str, ...]) -> None:
        with self._guarded():
            self._db.execute(statement, values)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the database refuses, and records that are none, into our own error."""
        try:
            yield
        except ConfigError:
            raise
        except (sqlite3.Error, ZtError, ValueError, KeyError, TypeError, AttributeError) as error:
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


def copy_database(source: Path, target: Path) -> None:
    """Write a database, as it is at one moment, into a file of its own; sqlite3.Error, OSError.

    Others may go on writing to the source, and it may be of any version.
    """
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)) as read,
        closing(sqlite3.connect(target)) as written,
    ):
        target.chmod(0o600)
        read.backup(written)
        written.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it


def _make_private(file: Path) -> None:
    """Make the file before SQLite does: what lies beside it takes over its mode."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    file.chmod(0o600)
