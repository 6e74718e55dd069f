"""Networks that a controller's configuration names: made once, and who is let into them."""

from collections.abc import Collection, Mapping
from typing import Any

from ztlink.controller.fields import FieldError
from ztlink.controller.service import ControllerService
from ztlink.errors import ConfigError
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.node.events import ConfigRequested


def declare(
    service: ControllerService, networks: Mapping[NetworkId, Mapping[str, Any]]
) -> tuple[NetworkId, ...]:
    """Make the networks that are not there yet and return them; what is there stays as it is.

    So whoever changes a network by hand keeps the change.
    """
    own = service.identity.address
    made = []
    for network_id, fields in networks.items():
        if network_id >> 24 != own:
            raise ConfigError(
                f"the network {format_network_id(network_id)} is not for this controller: "
                f"its networks' ids begin with {format_address(own)}"
            )
        if network_id in service.networks:
            continue
        try:
            service.create_network(network_id, dict(fields))
        except FieldError as error:
            raise ConfigError(f"the network {format_network_id(network_id)}: {error}") from error
        made.append(network_id)
    return tuple(made)


def let_in(
    service: ControllerService, network_ids: Collection[NetworkId], event: ConfigRequested
) -> bool:
    """Authorise who asks for one of these networks, unless somebody has shut it out before.

    To be called after the request was answered: the member is told anew.
    """
    if event.network_id not in network_ids or event.network_id not in service.networks:
        return False
    address = event.member.address
    known = service.members[event.network_id].get(address)
    if known is not None and (known.authorized or known.last_deauthorized_unix_ms):
        return False
    if known is not None and known.identity not in ("", str(event.member)):
        return False  # the address belongs to another
    service.update_member(event.network_id, address, {"authorized": True})
    return True
