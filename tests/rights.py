"""What this process may do to the machine, and what it lacks for the tests that need it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_CAP_NET_ADMIN: Final = 12
_CAP_SYS_ADMIN: Final = 21
_NEEDED: Final = {"CAP_NET_ADMIN": _CAP_NET_ADMIN, "CAP_SYS_ADMIN": _CAP_SYS_ADMIN}
_STATUS: Final = Path("/proc/self/status")
_TUN: Final = Path("/dev/net/tun")


def missing_for_netadmin(status: Path = _STATUS, tun: Path = _TUN) -> str | None:
    """Say what network namespaces and TAP devices need that is not here; None if all is."""
    capabilities = _effective_capabilities(status.read_text())
    missing = [name for name, bit in _NEEDED.items() if not capabilities >> bit & 1]
    if missing:
        return f"needs {' and '.join(missing)}: run as root or through ci/as-root"
    if not os.access(tun, os.R_OK | os.W_OK):
        return f"needs {tun}, readable and writable"
    return None


def missing_for_interop(environment: Mapping[str, str] = os.environ) -> str | None:
    """Say what running the reference node needs that is not here; None if all is."""
    program = environment.get("ZEROTIER_ONE")
    if not program:
        return "needs ZEROTIER_ONE, the reference node's program"
    if not os.access(program, os.X_OK):
        return f"ZEROTIER_ONE names {program}, which cannot be run"
    return None


def missing_for_image(find: Callable[[str], str | None] = shutil.which) -> str | None:
    """Say what building and running the image needs that is not here; None if all is."""
    missing = [program for program in ("buildah", "mmdebstrap", "runc") if find(program) is None]
    if missing:
        return f"needs {', '.join(missing)}: ci/packages test-image"
    return None if os.geteuid() == 0 else "needs root: containers have devices and namespaces"


def missing_for_browser(find: Callable[[str], str | None] = shutil.which) -> str | None:
    """Say what looking at a page in a browser needs that is not here; None if all is."""
    missing = [program for program in ("chromium", "chromedriver") if find(program) is None]
    return f"needs {' and '.join(missing)}: ci/packages test" if missing else None


def unpacked(program: str) -> str | None:
    """Return where a program is that the machine or `ci/unpacked` has; None for nowhere."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    where = (cache / "zerotier-k8s-link" / "debian").glob("*/usr/bin")
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(map(str, where)))


def missing_for_prometheus(find: Callable[[str], str | None] = unpacked) -> str | None:
    """Say what being scraped for real needs that is not here; None if all is."""
    missing = [program for program in ("prometheus", "promtool") if find(program) is None]
    return f"needs {' and '.join(missing)}: ci/unpacked prometheus" if missing else None


def resolved_program() -> str | None:
    """Return where a systemd-resolved is that runs here, installed or unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    unpacked_here = cache / "zerotier-k8s-link" / "debian" / "systemd-resolved"
    for top in (Path("/"), unpacked_here):
        program = top / "lib" / "systemd" / "systemd-resolved"
        if program.exists() and _runs(program):
            return str(program)
    return None


def _runs(program: Path) -> bool:
    asked = (program, "--version")  # its libraries may be of another release
    return subprocess.run(asked, capture_output=True).returncode == 0  # noqa: S603 - no input


def package(name: str) -> Path:
    """Return the folder of a package of Debian's that was unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "zerotier-k8s-link" / "debian" / name


def missing_for_resolvconf() -> str | None:
    """Say what running a resolvconf of our own needs that is not here; None if all is."""
    for name in ("openresolv", "resolvconf"):
        if not package(name).exists():
            return f"needs {name}: ci/unpacked {name}"
    return missing_for_netadmin()


def missing_for_resolved() -> str | None:
    """Say what running a systemd-resolved of our own needs that is not here; None if all is."""
    missing = [one for one in ("busctl", "dbus-daemon", "unshare") if shutil.which(one) is None]
    if resolved_program() is None:
        missing.append("systemd-resolved (ci/unpacked systemd-resolved)")
    if missing:
        return f"needs {', '.join(missing)}"
    return missing_for_netadmin()


def _effective_capabilities(status: str) -> int:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
