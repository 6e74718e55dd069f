"""What the operator allows each network, in the original's files (wire.adoc#local-settings)."""

import logging
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Final

from ztlink.host.desired import IpNetwork, Policy
from ztlink.ids import NetworkId, format_network_id
from ztlink.wire.dictionary import Dictionary

logger = logging.getLogger(__name__)

_LONGEST_BOOLEAN: Final = 5
"""A longer value of `allowManaged` is a list of ranges."""


def parse_policy(text: bytes) -> Policy:
    """Read a network's `.local.conf`; what it does not say is as by default.

    Of a list of ranges those that are none are passed over; where none is left, nothing is allowed.
    """
    settings = Dictionary.decode(text)
    default = Policy()
    managed = settings.get_bytes("allowManaged")
    ranges = _parse_ranges(managed) if managed and len(managed) > _LONGEST_BOOLEAN else None
    return Policy(
        allow_managed=bool(ranges)
        if ranges is not None
        else _parse_bool(managed, default=default.allow_managed),
        allow_global=_parse_bool(settings.get_bytes("allowGlobal"), default=False),
        allow_default=_parse_bool(settings.get_bytes("allowDefault"), default=False),
        allow_dns=_parse_bool(settings.get_bytes("allowDNS"), default=False),
        managed_only_in=ranges or (),
    )


def format_policy(policy: Policy) -> bytes:
    """Write a network's `.local.conf`; unlike the original, a list of ranges stays one."""
    ranges = ",".join(str(one) for one in policy.managed_only_in)
    managed = ranges if ranges and policy.allow_managed else str(int(policy.allow_managed))
    return (
        f"allowManaged={managed}\nallowGlobal={policy.allow_global:d}\n"
        f"allowDefault={policy.allow_default:d}\nallowDNS={policy.allow_dns:d}\n"
    ).encode()


def _parse_bool(value: bytes | None, *, default: bool) -> bool:
    return default if value is None else value[:1] in (b"1", b"t", b"T")


def _parse_ranges(text: bytes) -> tuple[IpNetwork, ...]:
    ranges: list[IpNetwork] = []
    for entry in text.decode(errors="replace").split(","):
        try:
            ranges.append(ip_network(entry.strip(), strict=False))
        except ValueError as error:
            logger.warning("allowManaged: an entry is passed over error=%s", error)
    return tuple(ranges)


class Policies:
    """The policies of all networks; a change is kept."""

    def __init__(
        self,
        texts: Mapping[NetworkId, bytes] | None = None,
        keep: Callable[[NetworkId, bytes], None] = lambda network_id, text: None,
    ) -> None:
        self._policies = {key: parse_policy(text) for key, text in (texts or {}).items()}
        self._keep = keep

    def get(self, network_id: NetworkId) -> Policy:
        """Return what a network may do; the defaults where nobody said."""
        return self._policies.get(network_id, Policy())

    def set(self, network_id: NetworkId, policy: Policy) -> None:
        """Change what a network may do, and keep that."""
        if self._policies.get(network_id) != policy:
            logger.info("network=%s %s", format_network_id(network_id), policy)
            self._policies[network_id] = policy
            self._keep(network_id, format_policy(policy))

    def forget(self, network_id: NetworkId) -> None:
        """Forget what a network that was left might do; its file is removed with the others."""
        self._policies.pop(network_id, None)
