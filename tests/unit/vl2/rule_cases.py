"""Reads the rule cases of the known answers into what the rules engine takes."""

from ipaddress import IPv6Interface
from typing import Any

from tests.vectors.loading import load
from ztlink.ids import Address, NetworkId, parse_address, parse_network_id
from ztlink.inet.flow import parse_frame
from ztlink.vl2.rule_context import (
    NOBODY,
    FrameContext,
    LocalParty,
    RemoteParty,
    Things,
    trusted_prefixes,
)
from ztlink.vl2.rules import Program
from ztlink.wire.netconf import ConfigFlag
from ztlink.wire.rules import Rule, decode_rules

Case = dict[str, Any]

DATA = load("rules.json")
CONFIG_TIMESTAMP = 1_000_000
MAX_DELTA = 1_000
NETWORK_ID: NetworkId = parse_network_id(DATA["network_id"])
ADDRESSES: list[Address] = [parse_address(text) for text in DATA["addresses"]]
OWN = ADDRESSES[0]
CERTAIN_CHANCE = b"\x80\x00\x00\x00"
"""Neither of the probabilities in the cases, 0 and 2^32 - 1, depends on this."""


def rules_of(table: int) -> tuple[Rule, ...]:
    return decode_rules(bytes.fromhex(DATA["tables"][table]["binary"]))


def program_of(table: int) -> Program:
    return Program(rules_of(table))


def frame_of(case: Case) -> memoryview:
    ethertype, payload = DATA["frames"][case["f"]]
    macs = DATA["macs"][case["dmac"]] + DATA["macs"][case["smac"]]
    return memoryview(bytes.fromhex(macs + ethertype + payload))


def _things(entries: list[list[Any]] | None) -> Things:
    return frozenset((kind, bytes.fromhex(value)) for kind, value in entries or ())


def _local(case: Case) -> LocalParty:
    flags = ConfigFlag(case.get("flags", 0))
    held = [IPv6Interface(bytes.fromhex(ip)) for ip in case.get("ips", ())]
    emulates = bool(flags & ConfigFlag.NDP_EMULATION)
    return LocalParty(
        OWN,
        lambda size: CERTAIN_CHANCE[:size],
        tags={int(number): value for number, value in case.get("ltags", {}).items()},
        things=_things(case.get("lcoo")),
        prefixes=trusted_prefixes(NETWORK_ID, OWN, held) if emulates else (),
        unknown_matches=bool(flags & ConfigFlag.UNKNOWN_RULES_MATCH),
    )


def _is_valid(timestamp: int) -> bool:
    return abs(timestamp - CONFIG_TIMESTAMP) <= MAX_DELTA


def _remote(case: Case) -> RemoteParty:
    if case.get("rtags", {}) is None:
        return NOBODY
    stamps = case.get("rtag_ts", {})
    tags = {
        int(number): value
        for number, value in case.get("rtags", {}).items()
        if _is_valid(stamps.get(number, CONFIG_TIMESTAMP))
    }
    return RemoteParty(tags, _things(case.get("rcoo")))


def context_of(case: Case) -> FrameContext:
    frame = frame_of(case)
    return FrameContext(
        frame,
        parse_frame(frame),
        _local(case),
        _remote(case),
        source=ADDRESSES[case["src"]],
        destination=Address(0) if case["dst"] is None else ADDRESSES[case["dst"]],
        is_inbound=bool(case["in"]),
    )


def capabilities_of(case: Case) -> list[Program]:
    if case["in"]:
        valid = [(number, table) for number, at, table in case.get("rcaps", ()) if _is_valid(at)]
    else:
        valid = [(number, table) for number, table in case.get("lcaps", ())]
    return [program_of(table) for _, table in sorted(valid)]
