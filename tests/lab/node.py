"""What tests ask of a node, whichever kind it is.

Both kinds keep the same files in a home directory and serve the same local API, so a kind only
says how it is started (`command`) and what it needs beforehand.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from tests.lab.api import ApiError, JsonObject, LocalApi
from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab
from tests.lab.planet import known_identity
from tests.lab.process import Process
from tests.lab.wait import wait_until
from ztlink.wire.identity import SecretIdentity

Role = Literal["node", "root", "controller"]
DEFAULT_PORT: Final = 9993
START_TIMEOUT: Final = 30.0
ONLINE_TIMEOUT: Final = 30.0
JOIN_TIMEOUT: Final = 150.0
_SETTINGS: Final = {"portMappingEnabled": False, "allowTcpFallbackRelay": False}


class LabNode(ABC):
    """A node on a host: its home, its process, its API."""

    kind: ClassVar[str]

    def __init__(
        self,
        lab: Lab,
        host: Host,
        role: Role,
        identity: SecretIdentity,
        *,
        port: int = DEFAULT_PORT,
    ) -> None:
        self.lab = lab
        self.host = host
        self.role = role
        self.port = port
        self.identity = identity
        self.home = lab.directory / f"home-{host.name}"
        self.conf: JsonObject = {}
        """What its local.conf says, beside that it keeps to the laboratory."""
        self.process: Process | None = None
        self.api = LocalApi(host.namespace, port, self.home / "authtoken.secret")

    def __repr__(self) -> str:
        return f"<{self.kind} {self.role} {self.host.name} {self.address}>"

    @property
    def name(self) -> str:
        """The name of its host."""
        return self.host.name

    @property
    def address(self) -> str:
        """Its ZeroTier address, 10 hex digits."""
        return f"{self.identity.address:010x}"

    @abstractmethod
    def command(self) -> tuple[str, ...]:
        """Return the command line that runs it in the foreground."""

    def environment(self) -> Mapping[str, str]:
        """Return what is added to our own environment variables."""
        return {}

    def prepare(self, planet: bytes) -> None:
        """Make the home: identity, planet and settings; never without a planet."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        secret = self.home / "identity.secret"
        secret.touch(mode=0o600)
        secret.write_text(self.identity.to_text())
        (self.home / "identity.public").write_text(str(self.identity.public))
        (self.home / "planet").write_bytes(planet)
        settings = _SETTINGS | self.conf.get("settings", {})
        (self.home / "local.conf").write_text(json.dumps(self.conf | {"settings": settings}))

    def start(self) -> None:
        """Start the process and wait until its API answers."""
        self.launch()
        wait_until(self.answers, timeout=START_TIMEOUT, what=f"{self!r}: API")

    def launch(self) -> Process:
        """Start the process without waiting for anything."""
        if not (self.home / "planet").exists():
            raise LabError(f"{self!r}: no planet; the public roots are not for tests")
        environment = self.environment()
        self.process = self.lab.start(
            self.host, *self.command(), log=self.kind, environment=environment
        )
        return self.process

    def stop(self) -> int:
        """Stop the process as an operator would; return its exit status."""
        return self.running.stop()

    def kill(self) -> None:
        """End the process as a crash would."""
        self.running.kill()

    @property
    def running(self) -> Process:
        """The process; LabError if it was never started."""
        if self.process is None:
            raise LabError(f"{self!r}: not started")
        return self.process

    def answers(self) -> bool:
        """Tell whether the API answers; LabError with the log if the process has ended."""
        if self.running.exit_status is not None:
            status = self.running.exit_status
            raise LabError(f"{self!r}: ended with {status}:\n{self.running.output[-2000:]}")
        try:
            self.api.get("/status")
        except LabError:
            return False
        return True

    def status(self) -> JsonObject:
        """GET /status."""
        return self.api.get("/status")

    def wait_online(self, timeout: float = ONLINE_TIMEOUT) -> None:
        """Wait until it has heard from a root."""
        wait_until(
            lambda: self.status()["online"] is True, timeout=timeout, what=f"{self!r}: online"
        )

    def peers(self) -> list[JsonObject]:
        """GET /peer."""
        return self.api.get_list("/peer")

    def direct_paths(self, other: "LabNode") -> list[str]:
        """Return the live direct paths to another node, as `ip/port`."""
        paths = self.api.get(f"/peer/{other.address}").get("paths", [])
        return [path["address"] for path in paths if path["active"] and not path["expired"]]

    def join(self, network_id: str, **settings: bool) -> JsonObject:
        """Join a network or change its local settings."""
        return self.api.post(f"/network/{network_id}", dict(settings))

    def leave(self, network_id: str) -> None:
        """Leave a network."""
        self.api.delete(f"/network/{network_id}")

    def network(self, network_id: str) -> JsonObject:
        """GET /network/<id>; an empty object if it is not joined."""
        try:
            return self.api.get(f"/network/{network_id}")
        except ApiError as error:
            if error.status != 404:
                raise
            return {}

    def wait_status(self, network_id: str, status: str, timeout: float = JOIN_TIMEOUT) -> float:
        """Wait until a network has this status; return the seconds that took."""
        start = time.monotonic()
        wait_until(
            lambda: self.network(network_id).get("status") == status,
            timeout=timeout,
            what=f"{self!r}: network {network_id}: {status}",
        )
        return time.monotonic() - start

    def device(self, network_id: str) -> str:
        """Return the name of a network's TAP device."""
        return str(self.network(network_id)["portDeviceName"])

    def ips(self, network_id: str) -> list[str]:
        """Return the managed addresses on a network, without prefix lengths."""
        return [ip.partition("/")[0] for ip in self.network(network_id)["assignedAddresses"]]

    def ipv4(self, network_id: str) -> str:
        """Return the managed IPv4 address on a network."""
        return next(ip for ip in self.ips(network_id) if ":" not in ip)

    def ipv6(self, network_id: str) -> str:
        """Return the first managed IPv6 address on a network."""
        return next(ip for ip in self.ips(network_id) if ":" in ip)

    def create_network(self, fields: JsonObject) -> str:
        """Make a network on this controller; return its id."""
        network = self.api.post(f"/controller/network/{self.address}______", fields)
        return str(network["id"])

    def update_network(self, network_id: str, fields: JsonObject) -> None:
        """Change fields of a network on this controller."""
        self.api.post(f"/controller/network/{network_id}", fields)

    def member(self, network_id: str, other: "LabNode") -> JsonObject:
        """Return the controller's record of a member."""
        return self.api.get(f"/controller/network/{network_id}/member/{other.address}")

    def update_member(self, network_id: str, other: "LabNode", fields: JsonObject) -> None:
        """Make or change a member's record on this controller."""
        self.api.post(f"/controller/network/{network_id}/member/{other.address}", fields)


def fresh_identity(lab: Lab) -> SecretIdentity:
    """Return an identity that no other node of the lab has."""
    return known_identity(len(lab.hosts))
