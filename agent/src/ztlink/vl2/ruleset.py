"""The rules of one network as its configuration has them, compiled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ztlink.ids import Address
from ztlink.vl2.rule_context import LocalParty, things_of, trusted_prefixes
from ztlink.vl2.rules import Program
from ztlink.wire.netconf import NetworkConfig


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Base rules, our own capabilities, and what of ourselves they know."""

    base: Program
    capabilities: tuple[Program, ...]
    local: LocalParty
    per_segment: bool
    """Some table looks at what differs between the frames of a super-frame."""

    @classmethod
    def of(cls, config: NetworkConfig, own: Address, random_bytes: Callable[[int], bytes]) -> Self:
        """Compile the rules of a configuration."""
        base = Program(config.rules)
        ordered = sorted(config.capabilities, key=lambda c: c.capability_id)
        capabilities = tuple(Program(c.rules) for c in ordered)
        prefixes = trusted_prefixes(config.network_id, own, config.addresses)
        local = LocalParty(
            address=own,
            random_bytes=random_bytes,
            tags={tag.tag_id: tag.value for tag in config.tags},
            things=things_of(config.coos),
            prefixes=prefixes if config.emulates_ndp else (),
            unknown_matches=config.unknown_rules_match,
        )
        return cls(
            base,
            capabilities,
            local,
            base.per_segment or any(c.per_segment for c in capabilities),
        )

    @classmethod
    def none(cls, own: Address, random_bytes: Callable[[int], bytes]) -> Self:
        """Return the rules of a network without a configuration: nothing passes."""
        return cls(Program(()), (), LocalParty(own, random_bytes), per_segment=False)
