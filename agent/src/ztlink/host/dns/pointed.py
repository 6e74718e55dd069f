"""Whether programs of this machine ask systemd-resolved: what it is told reaches nobody else."""

from ipaddress import ip_address
from pathlib import Path
from typing import Final

ETC: Final = Path("/etc")
STUBS: Final = frozenset({ip_address("127.0.0.53"), ip_address("127.0.0.54")})
"""Where it listens."""
UPLINKS: Final = Path("/run/systemd/resolve/resolv.conf")
"""Its own list of servers, for programs that are to ask these and not it."""
STUB_FILE: Final = "/run/systemd/resolve/stub-resolv.conf"

_REMEDY: Final = f"link /etc/resolv.conf to {STUB_FILE}"
_PAST_IT: Final = (
    "/etc/resolv.conf does not lead to systemd-resolved, nor does nsswitch.conf name `resolve`: "
    f"most programs do not ask it, and find no name of the network; {_REMEDY}"
)
_LISTED: Final = (
    "/etc/resolv.conf is systemd-resolved's list of all servers, the network's among them: programs"
    f" ask the first ones for all names, whatever their domain; {_REMEDY}"
)


def caveat(etc: Path = ETC, uplinks: Path = UPLINKS) -> str:
    """Return what is amiss, and what helps; empty where names are asked of systemd-resolved."""
    if "resolve" in _sources(etc / "nsswitch.conf") or STUBS & _servers(etc / "resolv.conf"):
        return ""
    return _LISTED if (etc / "resolv.conf").resolve() == uplinks.resolve() else _PAST_IT


def _sources(nsswitch: Path) -> list[str]:
    """Return what hosts are looked up by."""
    hosts = [line[1:] for line in _lines(nsswitch) if line[0] == "hosts:"]
    return hosts[-1] if hosts else []


def _servers(resolv_conf: Path) -> set[object]:
    named = (line[1] for line in _lines(resolv_conf) if len(line) > 1 and line[0] == "nameserver")
    found = set[object]()
    for one in named:
        try:
            found.add(ip_address(one))
        except ValueError:
            continue  # glibc passes it over, too
    return found


def _lines(file: Path) -> list[list[str]]:
    """Return the words of each line that has any; nothing of a file that cannot be read."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return []
    said = (line.partition("#")[0].replace(":", ": ", 1).split() for line in text.splitlines())
    return [words for words in said if words]
