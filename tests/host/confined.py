"""Runs a program as a hardened pod does, without a container runtime.

    python confined.py WRITABLE -- PROGRAM ...

In a mount namespace of its own, where all but WRITABLE and /tmp is read-only, /proc/sys too; with
CAP_NET_ADMIN alone, no new privileges, and under the default profile of system calls.

The profile is the machine's own, that of Podman and CRI-O, where it has one, as libseccomp loads it
for them. It leaves namespaces and mounts to unprivileged containers, which Docker's and
containerd's do not: what these refuse to who has no more than CAP_NET_ADMIN is refused here in any
case.
"""

import ctypes
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

CLONE_NEWNS = 0x20000
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
REFUSED = {
    101: "ptrace",
    155: "pivot_root",
    163: "acct",
    164: "settimeofday",
    165: "mount",
    166: "umount2",
    167: "swapon",
    168: "swapoff",
    169: "reboot",
    170: "sethostname",
    171: "setdomainname",
    172: "iopl",
    173: "ioperm",
    175: "init_module",
    176: "delete_module",
    179: "quotactl",
    180: "nfsservctl",
    212: "lookup_dcookie",
    227: "clock_settime",
    237: "mbind",
    238: "set_mempolicy",
    246: "kexec_load",
    248: "add_key",
    249: "request_key",
    250: "keyctl",
    272: "unshare",
    279: "move_pages",
    298: "perf_event_open",
    304: "open_by_handle_at",
    308: "setns",
    310: "process_vm_readv",
    311: "process_vm_writev",
    312: "kcmp",
    313: "finit_module",
    320: "kexec_file_load",
    321: "bpf",
    323: "userfaultfd",
    425: "io_uring_setup",
    428: "open_tree",
    429: "move_mount",
    430: "fsopen",
}
"""Of x86-64."""
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001
"""SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM."""
PROFILE: Final = Path("/usr/share/containers/seccomp.json")
"""Of Debian's golang-github-containers-common, and of containers-common elsewhere."""
RIGHTS: Final = frozenset({"CAP_NET_ADMIN"})
ARCHITECTURE: Final = "amd64"
_COMPARE: Final = (
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
)
_ARGUMENT: Final = struct.Struct("=IIQQ")
"""Which, how it is compared, with what."""
_LIBC = ctypes.CDLL(None, use_errno=True)


def make_read_only(writable: str) -> None:
    """Leave two places that can be written to."""
    check(_LIBC.unshare(CLONE_NEWNS))
    mount("--make-rprivate", "/")
    for place in (writable, "/tmp", "/proc/sys"):  # noqa: S108 - which a pod has, too
        mount("--bind", place, place)
    for place in ("/proc/sys", "/"):
        mount("-o", "remount,bind,ro", place)


def mount(*arguments: str) -> None:
    """Run mount(8)."""
    subprocess.run(("mount", *arguments), check=True)


def refuse_system_calls() -> None:
    """Install the filter; it outlives exec."""
    steps = [struct.pack("<HBBI", _LOAD, 0, 0, 0)]
    for left, number in zip(range(len(REFUSED), 0, -1), REFUSED, strict=True):
        steps.append(struct.pack("<HBBI", _JUMP_IF_EQUAL, left, 0, number))
    steps.append(struct.pack("<HBBI", _RETURN, 0, 0, _ALLOW))
    steps.append(struct.pack("<HBBI", _RETURN, 0, 0, _REFUSE))
    program = ctypes.create_string_buffer(b"".join(steps))
    head = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(program))
    )
    check(_LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0))


def allow_system_calls(profile: Mapping[str, Any]) -> None:
    """Install a profile, which allows what it names; it outlives exec."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(0x00050000 | profile["defaultErrnoRet"]))
    for name, arguments in allowed(profile):
        number = library.seccomp_syscall_resolve_name(name.encode())
        packed = b"".join(arguments)
        if number >= 0:  # else it is of another architecture
            rule = (context, _ALLOW, number, len(arguments), ctypes.create_string_buffer(packed))
            require(library.seccomp_rule_add_array(*rule))
    require(library.seccomp_load(context))


def allowed(profile: Mapping[str, Any]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield what a profile allows to who has RIGHTS, with what is asked of the arguments."""
    for entry in profile["syscalls"]:
        wanted, barred = entry.get("includes") or {}, entry.get("excludes") or {}
        is_ours = (
            entry["action"] == "SCMP_ACT_ALLOW"
            and RIGHTS.issuperset(wanted.get("caps", ()))
            and ARCHITECTURE in wanted.get("arches", (ARCHITECTURE,))
            and RIGHTS.isdisjoint(barred.get("caps", ()))
            and ARCHITECTURE not in barred.get("arches", ())
        )
        for name in entry["names"] if is_ours else ():
            yield name, [compared(one) for one in entry.get("args") or ()]


def compared(one: Mapping[str, Any]) -> bytes:
    """Return how libseccomp is told of an argument."""
    how = _COMPARE.index(one["op"]) + 1
    return _ARGUMENT.pack(one["index"], how, one["value"], one["valueTwo"])


def require(result: int) -> None:
    """OSError where libseccomp refuses something; it returns the number itself, negative."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))


def check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _, stage, *rest = sys.argv
    if stage != "--":  # as root: the place, then drop rights and come back
        make_read_only(stage)
        rights = ("--no-new-privs", "--bounding-set=-all,+net_admin", "--inh-caps=-all")
        again = (sys.executable, __file__, *rest)
        os.execvp("setpriv", ("setpriv", *rights, *again))  # noqa: S606 - the point of it
    refuse_system_calls()
    if PROFILE.exists():
        allow_system_calls(json.loads(PROFILE.read_text()))
    os.execvp(rest[0], rest)  # noqa: S606 - the point of it
