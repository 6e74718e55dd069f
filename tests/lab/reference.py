"""The reference node: a built `zerotier-one`, used as a black box."""

from pathlib import Path
from typing import ClassVar

from tests.lab.lab import Host, Lab
from tests.lab.namespace import run
from tests.lab.node import DEFAULT_PORT, LabNode, Role
from ztlink.wire.identity import SecretIdentity


class ReferenceNode(LabNode):
    """`zerotier-one` on a host; one program for every role."""

    kind: ClassVar[str] = "reference"

    def __init__(
        self,
        lab: Lab,
        host: Host,
        role: Role,
        identity: SecretIdentity,
        *,
        zerotier_one: Path,
        port: int = DEFAULT_PORT,
    ) -> None:
        super().__init__(lab, host, role, identity, port=port)
        self.zerotier_one = zerotier_one

    def command(self) -> tuple[str, ...]:
        return (str(self.zerotier_one), "-U", f"-p{self.port}", str(self.home))


def generate_identity(zerotier_one: Path) -> SecretIdentity:
    """Let the reference make an identity; this costs its proof of work, about a second."""
    return SecretIdentity.from_text(run(str(zerotier_one), "-i", "generate"))
