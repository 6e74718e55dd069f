"""The demo's second part: two nodes become agents, with a network of pods behind each."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from ci.demo_lab import DemoError, Lab, run, say, wait_for
from ci.demo_measure import ping
from ci.demo_report import Member

POD: Final = "pod"
OPEN_PORT: Final = 8080
SHUT_PORT: Final = 8081
PAGE: Final = "http://127.0.0.1:9994/zerotier/"
FORWARD: Final = "/proc/sys/net/ipv4/ip_forward"
SERVE: Final = """
import selectors, socket, sys
with selectors.DefaultSelector() as ready:
    for port in sys.argv[1:]:
        ready.register(socket.create_server(("", int(port))), selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            key.fileobj.accept()[0].close()
"""
CONNECT: Final = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("open")
except OSError:
    print("refused")
"""
FETCH: Final = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


def pods_of(name: str) -> str:
    """Return how a node's pods begin: the first three bytes of their addresses."""
    return f"10.244.{ord(name) - ord('a') + 1}"


def pod_of(name: str) -> str:
    """Return the name of the one pod behind a node."""
    return f"{name}-{POD}"


def configuration(lab: Lab, network: str, one: Member, other: Member) -> dict[str, Any]:
    """Return the file of an agent: its pods, the way to the other's, what may come in."""
    return {
        "home": str(lab.home(one.name)),
        "networks": [{"id": network}],
        "cluster": {"podCidrs": [f"{pods_of(one.name)}.0/24"], "detect": False},
        "routes": [{"target": f"{pods_of(other.name)}.0/24", "via": other.address}],
        "firewall": {
            "allow": [{"protocol": "icmp"}, {"protocol": "tcp", "ports": [OPEN_PORT]}],
            "forward": {"fromOverlay": "declared"},
        },
    }


def show_agents(lab: Lab, members: list[Member]) -> str:
    """Start two nodes anew as agents, and try what their files say; return it in a few lines."""
    one, other = members[:2]
    network = str(lab.ztlink_json(one.name, "networks")[0]["id"])
    for member, peer in ((one, other), (other, one)):
        _put_pod(lab, member.name)
        _become_agent(lab, member, configuration(lab, network, member, peer))
    return "\n".join(
        [*_try_routes(lab, one, other), _try_firewall(lab, one, other), _look(lab, one)]
    )


def _put_pod(lab: Lab, name: str) -> None:
    """Make a namespace behind a node, with the node for its gateway."""
    own, pod, pods = lab.namespace(name), lab.namespace(pod_of(name)), pods_of(name)
    peer = ("peer", "name", "eth0", "netns", pod)
    run("ip", "link", "add", POD, "netns", own, "type", "veth", *peer)
    run("ip", "-n", own, "address", "add", f"{pods}.1/24", "dev", POD)
    run("ip", "-n", own, "link", "set", POD, "up")
    run("ip", "-n", pod, "link", "set", "lo", "up")
    run("ip", "-n", pod, "address", "add", f"{pods}.2/24", "dev", "eth0")
    run("ip", "-n", pod, "link", "set", "eth0", "up")
    run("ip", "-n", pod, "route", "add", "default", "via", f"{pods}.1")
    lab.inside(name, "sh", "-c", f"echo 1 > {FORWARD}")


def _become_agent(lab: Lab, member: Member, config: Mapping[str, Any]) -> None:
    file = lab.directory / f"{member.name}.yaml"
    file.write_text(json.dumps(config, indent=1))  # which is YAML, too
    lab.stop_node(member.name)
    lab.start_agent(member.name, file)
    say(f"{member.name} is an agent now, of {file}")


def _try_routes(lab: Lab, one: Member, other: Member) -> list[str]:
    """Ping between the pods, as soon as both agents have made their routes."""
    return [_try_route(lab, one, other), _try_route(lab, other, one)]


def _try_route(lab: Lab, source: Member, target: Member) -> str:
    pod, address = pod_of(source.name), f"{pods_of(target.name)}.2"
    what = f"a ping from {pod} to {address}"
    wait_for(what, lambda: ping(lab, pod, address, "-c1") is not None)
    found = ping(lab, pod, address, "-c3", "-i0.2")
    if found is None:
        raise DemoError(f"{what}: no answer any more")
    shown = lab.inside(source.name, "ip", "route", "get", address).split(" uid")[0]
    return f"{pod} to {pod_of(target.name)}: {found:.2f} ms, by {shown}"


def _try_firewall(lab: Lab, one: Member, other: Member) -> str:
    """Connect to two ports that are both listened on: the firewall lets one in."""
    ports = (str(OPEN_PORT), str(SHUT_PORT))
    log = lab.directory / f"{other.name}.ports"
    lab.start(other.name, sys.executable, "-c", SERVE, *ports, log=log)
    told = {}

    def is_open() -> bool:
        for port in ports:
            told[port] = lab.inside(
                one.name, sys.executable, "-c", CONNECT, str(other.ipv4), port
            ).strip()
        return told[ports[0]] == "open"

    wait_for(f"port {OPEN_PORT} of {other.name}", is_open)
    if told[ports[1]] == "open":
        raise DemoError(f"port {SHUT_PORT} of {other.name} is open, which its file does not allow")
    here = lab.inside(other.name, sys.executable, "-c", CONNECT, "127.0.0.1", ports[1]).strip()
    if here != "open":
        raise DemoError(f"nobody listens on port {SHUT_PORT} of {other.name}: it proves nothing")
    return (
        f"{other.name} from {one.name}: port {OPEN_PORT} open, "
        f"port {SHUT_PORT} refused by the firewall, though something listens there"
    )


def _look(lab: Lab, member: Member) -> str:
    """Read the page for people, and what the agent says of its health."""
    health = json.loads(lab.inside(member.name, sys.executable, "-c", FETCH, f"{PAGE}health"))
    page = lab.inside(member.name, sys.executable, "-c", FETCH, PAGE)
    if member.address not in page:
        raise DemoError(f"{PAGE} of {member.name} does not name {member.address}")
    return (
        f"health of {member.name}: {health['status']}; its page: {PAGE}, from inside its namespace"
    )
