"""Ad-hoc networks: their ids say everything, and no controller is asked (wire.adoc#ad-hoc)."""

from ipaddress import IPv4Interface
from typing import Final

from ztlink.derive import sixplane_address
from ztlink.ids import Address, IpInterface, NetworkId
from ztlink.wire.netconf import (
    DEFAULT_MTU,
    ConfigFlag,
    NetworkConfig,
    NetworkType,
    Specialist,
    SpecialistRole,
)
from ztlink.wire.rules import Number, Range, Rule, RuleType

ADHOC_PREFIX: Final = 0xFF
CREDENTIAL_TIME_MAX_DELTA: Final = 7_200_000
SUBNET_MULTICAST_LIMIT: Final = 1024
_ETHERTYPE_IPV6: Final = 0x86DD
_PROTOCOL_TCP: Final = 6
_PROTOCOL_UDP: Final = 17
_PROTOCOL_ICMPV6: Final = 58
_TCP_SYN: Final = 0x02
_TCP_ACK: Final = 0x10
_ACCEPT: Final = Rule(RuleType.ACTION_ACCEPT)
_DROP: Final = Rule(RuleType.ACTION_DROP)


def is_adhoc(network_id: NetworkId) -> bool:
    """Tell whether a network has no controller."""
    return network_id >> 56 == ADHOC_PREFIX


def is_impossible(network_id: NetworkId) -> bool:
    """Tell whether an id names a port range that ends before it starts."""
    start, end = _ports(network_id)
    return is_adhoc(network_id) and network_id & 0xFFFFFF == 0 and end < start


def adhoc_config(network_id: NetworkId, own: Address, unix_ms: int) -> NetworkConfig | None:
    """Return our configuration of an ad-hoc network; None for ids of no known form."""
    if not is_adhoc(network_id) or is_impossible(network_id):
        return None
    if network_id & 0xFFFFFF == 0:
        return _port_range(network_id, own, unix_ms)
    if network_id & 0xFF == 1:
        return _subnet(network_id, own, unix_ms)
    return None


def _ports(network_id: NetworkId) -> tuple[int, int]:
    return network_id >> 40 & 0xFFFF, network_id >> 24 & 0xFFFF


def _port_range(network_id: NetworkId, own: Address, unix_ms: int) -> NetworkConfig:
    start, end = _ports(network_id)
    return _config(
        network_id,
        own,
        unix_ms,
        name=f"adhoc-{start:04x}-{end:04x}",
        multicast_limit=0,
        rules=(
            Rule(RuleType.MATCH_ETHERTYPE, Number(_ETHERTYPE_IPV6), negate=True),
            _DROP,
            Rule(RuleType.MATCH_IP_PROTOCOL, Number(_PROTOCOL_ICMPV6)),
            _ACCEPT,
            Rule(RuleType.MATCH_IP_PROTOCOL, Number(_PROTOCOL_UDP)),
            Rule(RuleType.MATCH_IP_PROTOCOL, Number(_PROTOCOL_TCP), or_flag=True),
            Rule(RuleType.MATCH_IP_DEST_PORT_RANGE, Range(start, end)),
            _ACCEPT,
            Rule(RuleType.MATCH_CHARACTERISTICS, Number(_TCP_SYN), negate=True),
            _ACCEPT,
            Rule(RuleType.MATCH_CHARACTERISTICS, Number(_TCP_SYN)),
            Rule(RuleType.MATCH_CHARACTERISTICS, Number(_TCP_ACK)),
            _ACCEPT,
            _DROP,
        ),
    )


def _subnet(network_id: NetworkId, own: Address, unix_ms: int) -> NetworkConfig:
    first = network_id >> 48 & 0xFF
    hub = Address(network_id >> 8 & 0xFF_FFFF_FFFF)
    # The hub is named without a role, as other nodes do: it has no effect.
    specialists = (Specialist(hub, SpecialistRole(0)),) if hub else ()
    return _config(
        network_id,
        own,
        unix_ms,
        name=f"adhoc-{first}.0.0.0",
        multicast_limit=SUBNET_MULTICAST_LIMIT,
        rules=(_ACCEPT,),
        specialists=specialists,
        addresses=(IPv4Interface((first << 24 | own & 0xFFFFFF, 8)),),
    )


def _config(
    network_id: NetworkId,
    own: Address,
    unix_ms: int,
    *,
    name: str,
    multicast_limit: int,
    rules: tuple[Rule, ...],
    specialists: tuple[Specialist, ...] = (),
    addresses: tuple[IpInterface, ...] = (),
) -> NetworkConfig:
    return NetworkConfig(
        network_id=network_id,
        timestamp=unix_ms,
        credential_time_max_delta=CREDENTIAL_TIME_MAX_DELTA,
        revision=1,
        issued_to=own,
        flags=ConfigFlag.NDP_EMULATION,
        multicast_limit=multicast_limit,
        type=NetworkType.PUBLIC,
        name=name.encode(),
        mtu=DEFAULT_MTU,
        specialists=specialists,
        addresses=(sixplane_address(network_id, own), *addresses),
        rules=rules,
    )
