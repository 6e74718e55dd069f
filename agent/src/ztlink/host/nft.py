"""The only door to nftables: runs `nft`, and says what would help where that is refused."""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from ztlink.errors import HostError

FAMILY: Final = "inet"
OLDEST: Final = (1, 0, 0)
"""The oldest release whose words the rules keep to."""
PATIENCE: Final = 30.0
"""Seconds for one run: tens of thousands of rules of others take some."""
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where `nft` is on machines whose users have no such folders on their path."""
_VERSION: Final = re.compile(r"\bv(\d+)\.(\d+)(?:\.(\d+))?")
_NO_FIREWALL: Final = "or set firewall.enabled to false"
_REMEDIES: Final = {
    errno.EPERM: f"give the process CAP_NET_ADMIN, {_NO_FIREWALL}",
    errno.EOPNOTSUPP: (
        "load the kernel's modules nf_tables, nft_ct, nft_fib_inet and nft_masq, " + _NO_FIREWALL
    ),
}
_REMEDIES[errno.EPROTONOSUPPORT] = _REMEDIES[errno.EOPNOTSUPP]
_NUMBERS: Final = {os.strerror(number): number for number in (*_REMEDIES, errno.ENOENT)}


class NftError(HostError):
    """The rules could not be loaded or read."""

    def __init__(self, number: int, cause: str, remedy: str = "") -> None:
        super().__init__(number, f"{cause}: {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


class Nft:
    """Runs `nft`, each time anew; every call waits for the kernel."""

    def __init__(self, program: str = "nft") -> None:
        self._name = program
        self._program: str | None = None
        """Where it is, once it was found to be new enough."""

    def load(self, ruleset: str) -> None:
        """Load rules: all of them, or none and NftError."""
        self._run("-f", "-", given=ruleset)

    def check(self, ruleset: str) -> None:
        """Have the kernel look at rules without loading them; NftError with what is wrong."""
        self._run("-c", "-f", "-", given=ruleset)

    def remove(self, table: str) -> None:
        """Take a table away; one that is not there is no error, and no other is touched."""
        self.load(removal(table))

    def tables(self) -> list[str]:
        """Return the names of all tables that are of our family."""
        tables = (one["table"] for one in self._ask("list", "tables") if "table" in one)
        return [one["name"] for one in tables if one["family"] == FAMILY]

    def listing(self, table: str) -> str | None:
        """Return a table as it is, without what its counters say; None where there is none."""
        try:
            return self._run("-s", "list", "table", FAMILY, table)
        except NftError as error:
            if error.errno == errno.ENOENT:
                return None
            raise

    def counters(self, table: str) -> dict[str, int]:
        """Return the packets of a table's counters by their names."""
        told = self._ask("list", "counters", "table", FAMILY, table)
        counters = (one["counter"] for one in told if "counter" in one)
        # Releases before 1.0.7 name those of other tables, too.
        return {c["name"]: c["packets"] for c in counters if _is_in(c, FAMILY, table)}

    def base_chains(self) -> list[dict[str, Any]]:
        """Return the chains of all tables that the kernel's hooks call."""
        told = self._ask("list", "chains")
        return [one["chain"] for one in told if "hook" in one.get("chain", {})]

    def rules(self, family: str, table: str, chain: str) -> list[dict[str, Any]]:
        """Return the rules of one chain."""
        told = self._ask("list", "chain", family, table, chain)
        return [one["rule"] for one in told if "rule" in one]

    def _ask(self, *arguments: str) -> list[dict[str, Any]]:
        text = self._run("-j", *arguments)
        try:
            told: list[dict[str, Any]] = json.loads(text)["nftables"]
        except (ValueError, KeyError) as error:
            raise NftError(errno.EPROTO, f"nft {' '.join(arguments)}: no JSON: {error}") from error
        return told

    def _run(self, *arguments: str, given: str | None = None) -> str:
        done = _start([self._find(), *arguments], given)
        if done.returncode != 0:
            raise _refusal(arguments, done.stderr)
        return done.stdout

    def _find(self) -> str:
        if self._program is None:
            path = f"{os.environ.get('PATH', os.defpath)}:{_PATH}"
            program = shutil.which(self._name, path=path)
            if program is None:
                raise NftError(
                    errno.ENOENT,
                    f"there is no program {self._name} on this machine",
                    f"install the package nftables, {_NO_FIREWALL}",
                )
            _require_version(_start([program, "--version"], None).stdout)
            self._program = program
        return self._program


def removal(table: str) -> str:
    """Return what takes a table away, be it there or not: `destroy` is of nft 1.0.7 and later."""
    return f"add table {FAMILY} {table}\ndelete table {FAMILY} {table}\n"


def _start(command: Sequence[str], given: str | None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 - the machine's own nft, no shell
            command,
            input=given if given is not None else "",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise NftError(
            errno.ETIMEDOUT,
            f"nft did not end within {PATIENCE:.0f} s",
            "look at what else loads rules on this machine",
        ) from error
    except OSError as error:
        raise NftError(error.errno or 0, f"cannot run {command[0]}: {error.strerror}") from error


def _require_version(told: str) -> None:
    found = _VERSION.search(told)
    if found is None:
        raise NftError(errno.ENOSYS, f"nft does not tell its version: {told.strip()!r}")
    version = tuple(int(part or 0) for part in found.groups())
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise NftError(
            errno.ENOSYS,
            f"nft is version {'.'.join(map(str, version))}",
            f"install nftables {wanted} or later, {_NO_FIREWALL}",
        )


def _refusal(arguments: Sequence[str], complaint: str) -> NftError:
    """Make an error of what `nft` wrote: its first line says it, the others show where."""
    first = next((line for line in complaint.splitlines() if line.strip()), "no reason given")
    reason = first.partition("Error: ")[2] or first
    number = next((n for text, n in _NUMBERS.items() if text in complaint), errno.EINVAL)
    return NftError(number, f"nft {' '.join(arguments)}: {reason}", _REMEDIES.get(number, ""))


def _is_in(thing: dict[str, Any], family: str, table: str) -> bool:
    return bool(thing["family"] == family and thing["table"] == table)
