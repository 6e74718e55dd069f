"""Shows ztlink at work: a root, a controller and three nodes that talk, all on this machine.

Everything lives in network namespaces of its own and is gone at the end. Root runs it as it is;
an ordinary user needs user namespaces and a writable /dev/net/tun. Without these it is shown in
user space, which needs nothing (see demo_userspace).
"""

import argparse
import importlib.util
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ci.demo_agents import PAGE, pod_of, show_agents
from ci.demo_lab import ZTLINK, DemoError, Lab, load, remove, run, say, wait_for
from ci.demo_measure import measure_pairs, measure_throughput
from ci.demo_report import (
    Member,
    find_problems,
    members_table,
    pairs_table,
    split_families,
    verdict,
)
from ci.demo_userspace import show_in_user_space

ROOT: Final = "root"
CONTROLLER: Final = "control"
NODES: Final = ("a", "b", "c")
RANGE: Final = "10.147.17.0/24"
LIMIT: Final = 90  # seconds for all but the removal, which takes ten at most
TUN: Final = "/dev/net/tun"
COMMANDS: Final = {"ip": "iproute2", "nft": "nftables", "ping": "iputils-ping"}
AGENTS: Final = NODES[:2]


def find_missing() -> list[str]:
    """Return what this machine or user lacks for the demo, as sentences."""
    missing = [
        f"the command {command} (package {package})"
        for command, package in COMMANDS.items()
        if not shutil.which(command)
    ]
    missing += [
        f"the Python module {module} (make venv, or pip install './agent[agent]')"
        for module in ("ztlink", "aiohttp", "pyroute2")
        if importlib.util.find_spec(module) is None
    ]
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except FileNotFoundError:
        missing.append(f"{TUN} (modprobe tun; in a container: --device {TUN})")
    except OSError as error:
        missing.append(f"a {TUN} that may be opened ({error.strerror}): be root, or have it opened")
    if not Path("/proc/sys/net/ipv6").exists():
        missing.append("IPv6 in the kernel")
    ordinary = os.geteuid() != 0
    try:
        run("unshare", "-Urnm" if ordinary else "-nm", "true")
    except (OSError, DemoError) as error:
        what = "user namespaces for ordinary users" if ordinary else "the right to make namespaces"
        missing.append(f"{what} ({error})")
    return missing


def enter_namespaces(arguments: Iterable[str]) -> NoReturn:
    """Start this script anew as the root of a user namespace, with a /run for `ip netns`."""
    prepare = 'mount -t tmpfs tmpfs /run && exec "$@"'
    script = (sys.executable, str(Path(__file__).resolve()), "--inside", *arguments)
    os.execvp("unshare", ("unshare", "-Urnm", "sh", "-c", prepare, "sh", *script))  # noqa: S606 - it needs none


def make_identities(lab: Lab) -> dict[str, str]:
    """Draw an identity for everyone, two at a time: each costs a second of one core."""

    def generate(name: str) -> str:
        run(*ZTLINK, "identity", "generate", str(lab.home(name) / "identity.secret"), timeout=LIMIT)
        return (lab.home(name) / "identity.public").read_text().partition(":")[0]

    addresses: dict[str, str] = {}
    pool = ThreadPoolExecutor(2)
    try:
        for name, address in zip(lab.names, pool.map(generate, lab.names), strict=True):
            addresses[name] = address
            say(f"  {name} is {address}")
        return addresses
    finally:
        pool.shutdown(cancel_futures=True)


def start_nodes(lab: Lab) -> None:
    """Make a planet of the one root, start everyone, and wait until all have found the root."""
    planet = lab.directory / "planet"
    endpoints = ",".join(f"{address}/9993" for address in lab.endpoints(ROOT))
    public, key = (lab.home(ROOT) / f"identity.{half}" for half in ("public", "secret"))
    named = ("--root", f"{public}@{endpoints}", "--key", str(key))  # without it, one more is drawn
    run(*ZTLINK, "world", "create", *named, "--out", str(planet))
    for name in lab.names:
        shutil.copy(planet, lab.home(name) / "planet")
        lab.start_node(name, {ROOT: "root", CONTROLLER: "controller"}.get(name, "node"))

    def online(name: str) -> bool:
        try:
            return bool(lab.ztlink_json(name, "status")["online"])
        except DemoError:
            if lab.daemons[name].poll() is not None:
                raise
            return False  # its API is not up yet

    for name in lab.names:
        wait_for(f"{name} online", lambda: online(name))  # noqa: B023 - called in this round
    say("all online")


def join(lab: Lab, addresses: dict[str, str]) -> list[Member]:
    """Make a private network, let the nodes in, and wait until they are."""
    options = ("--name", "demo", "--range", RANGE, "--rfc4193")
    network = lab.ztlink(CONTROLLER, "network", "create", *options).split()[-1]
    say(f"network {network}, private, {RANGE} and RFC 4193")
    for name in NODES:
        lab.ztlink(name, "join", network)
    said: dict[str, str] = {}
    found: dict[str, Member] = {}

    def look() -> bool:
        for name in NODES:
            joined = lab.ztlink_json(name, "networks")[0]
            reason = f"{joined['status']}, {joined['statusReason']}"
            if said.get(name) != reason:
                said[name] = reason
                say(f"  {name}: {reason}")
            if joined["status"] == "OK" and joined["assignedAddresses"]:
                families = split_families(joined["assignedAddresses"])
                found[name] = Member(name, addresses[name], *families)
        return len(found) == len(NODES)

    look()
    lab.ztlink(CONTROLLER, "member", "authorize", network, *(addresses[name] for name in NODES))
    say("members authorised")
    wait_for("all nodes in the network", look)
    return [found[name] for name in NODES]


def explain_keep(lab: Lab, members: list[Member], *, inside: bool) -> None:
    """Say how to look into a demo that stays, and how to end it."""
    first, second = members[0], members[1]
    enter = ["ip", "netns", "exec", lab.namespace(first.name)]
    if inside:
        pid = str(lab.daemons[first.name].pid)
        enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-n", "-t", pid, *enter]
    script = Path(sys.executable).with_name("ztlink")
    ztlink = [str(script)] if script.exists() else list(ZTLINK)
    print("\nIt stays up. To look inside, as the same user:")
    print("  " + shlex.join([*enter, *ztlink, "peers", "--home", str(lab.home(first.name))]))
    print("  " + shlex.join([*enter, "ping", "-c3", second.ipv4 or second.ipv6 or ""]))
    fetch = "import urllib.request as r; print(r.urlopen('" + PAGE + "health').read().decode())"
    print("  " + shlex.join([*enter, sys.executable, "-c", fetch]))
    print(f"  logs: {lab.directory}/*.log; nodes: {', '.join(map(lab.namespace, lab.names))}")
    print("To end it:")
    own = str(Path(__file__).resolve())
    print("  " + shlex.join([sys.executable, own, "--end", str(lab.directory)]))


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End by a signal as by Ctrl-C."""
    raise KeyboardInterrupt


def give_up(number: int, frame: FrameType | None) -> NoReturn:
    """End because it takes too long."""
    raise DemoError(f"not done after {LIMIT} s")


def show(lab: Lab, *, keep: bool, inside: bool) -> int:
    """Do it all; return the exit status."""
    kept = False
    try:
        say(f"{len(lab.names)} namespaces on one bridge, and as many identities")
        lab.build()
        addresses = make_identities(lab)
        start_nodes(lab)
        members = join(lab, addresses)
        pairs = measure_pairs(lab, members)
        rate = measure_throughput(lab, members[0], members[1])
        agents = show_agents(lab, members)
        print(f"\n{members_table(members)}\n\n{pairs_table(pairs)}\n\n{agents}\n")
        if keep:
            signal.alarm(0)
            lab.keep()
            kept = True
            explain_keep(lab, members, inside=inside)
            print()
        print(verdict(members, pairs, rate))
        return 1 if find_problems(members, pairs, rate) else 0
    finally:
        if not kept:
            lab.end()


def main() -> int:
    """Read the options, get the rights, run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave it up, and say how to end it")
    parser.add_argument("--end", type=Path, metavar="DIR", help="end what --keep left up")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        if options.end:
            directory = options.end.resolve()
            remove(directory, load(directory))
            print(f"demo: {directory} has ended")
            return 0
        if missing := find_missing():
            print("for the demo with devices, missing here:", *missing, sep="\n  ")
            print("so it is shown in user space: ordinary processes on the loopback, no devices")
            return show_in_user_space()
        if os.geteuid() != 0:
            enter_namespaces(sys.argv[1:])
        signal.signal(signal.SIGTERM, interrupt)
        signal.signal(signal.SIGHUP, interrupt)
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(LIMIT)
        lab = Lab(
            Path(tempfile.mkdtemp(prefix="ztdemo-")),
            (ROOT, CONTROLLER, *NODES),
            [*map(pod_of, AGENTS)],
        )
        return show(lab, keep=options.keep, inside=options.inside)
    except DemoError as error:
        print(f"demo: FAILED, {error}")
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
