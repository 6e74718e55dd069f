"""The networks of the YAML: those that a node joins."""

from typing import Annotated

from pydantic import Field

from ztlink.config.fields import DeviceName, Named
from ztlink.host.desired import Policy
from ztlink.settings import Membership


class NetworkEntry(Named):
    """A network to be joined."""

    required: bool = True
    interface_name: DeviceName = ""
    allow_managed: bool = True
    allow_global: bool = False
    allow_default: bool = False
    allow_dns: Annotated[bool, Field(alias="allowDNS")] = False

    def membership(self) -> Membership:
        """Return what it means."""
        policy = Policy(self.allow_managed, self.allow_global, self.allow_default, self.allow_dns)
        return Membership(self.network_id(), self.required, policy)
