"""Settings of the whole machine that decide what passes through it: read and told, never changed.

`linkconf` changes those of our own devices; these are everybody's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHOWN: Final = Path("/proc/sys/net")
STRICT: Final = 1
"""Of rp_filter: what comes must come by the device by which an answer would go."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is, and what that means."""

    key: str
    family: str
    value: int | None
    """None where the kernel does not show it."""
    is_well: bool
    cause: str = ""
    """A sentence; empty where it is well."""
    remedy: str = ""


def forwarding(shown: Path = SHOWN) -> Iterator[Setting]:
    """Yield of each family whether the machine passes packets on."""
    for family, key in (("IPv4", "net.ipv4.ip_forward"), ("IPv6", "net.ipv6.conf.all.forwarding")):
        value = read_sysctl(key, shown)
        if value is None:
            yield Setting(key, family, None, False, f"{key} is not shown by the kernel")
        elif value:
            yield Setting(key, family, value, True)
        else:
            yield Setting(
                key,
                family,
                value,
                False,
                f"{key} is 0: the machine forwards no {family}, so that nothing behind it is in "
                "reach of the overlay",
                f"sysctl -w {key}=1, and a line in /etc/sysctl.d, where that is wanted",
            )


def reverse_path(shown: Path = SHOWN) -> Setting:
    """Tell whether the kernel drops what comes by another way than an answer would go."""
    key = "net.ipv4.conf.all.rp_filter"
    value = read_sysctl(key, shown)
    if value != STRICT:
        return Setting(key, "IPv4", value, True)
    return Setting(
        key,
        "IPv4",
        value,
        False,
        f"{key} is 1 (strict): devices drop, without a word, what comes by another way than answers"
        " would go",
        f"sysctl -w {key}=2 (loose), where answers take other ways",
    )


def read_sysctl(key: str, shown: Path = SHOWN) -> int | None:
    """Return a setting by its name; None where there is no such, or it is not shown."""
    return read_number(shown.joinpath(*key.split(".")[1:]))


def read_number(file: Path) -> int | None:
    """Return what a file below /proc/sys says; None where it is no number."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
