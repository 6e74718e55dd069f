"""Whatever an authentic peer sends: it is counted, and the node goes on."""

import random
from collections.abc import Iterator
from typing import Final
from unittest.mock import patch

import pytest

from tests.scale import SOAK, scaled
from tests.sim.mesh import ADHOC
from tests.unit.node.rig import Pair
from tests.unit.wire.described import REQUESTS
from tests.vectors.loading import load
from ztlink.batch import CipherSuite
from ztlink.errors import WireError
from ztlink.node.dispatch import IGNORED_VERBS
from ztlink.stats import Drop
from ztlink.wire.verbs import Verb

LONGEST: Final = 10_000 if SOAK else 250
REPLIES: Final = (
    "ok_hello",
    "ok_whois",
    "ok_echo",
    "ok_ext_frame",
    "ok_network_config_request",
    "ok_multicast_gather",
    "ok_multicast_frame",
)
SEALED: Final = (CipherSuite.SALSA_POLY, CipherSuite.GMAC_SIV)


def recorded(name: str) -> list[bytes]:
    """Return the payloads of a golden file."""
    return [bytes.fromhex(p["payload"])[:LONGEST] for p in load(f"{name.lower()}.json")["packets"]]


def is_malformed(name: str, payload: bytes) -> bool:
    try:
        REQUESTS[name].from_bytes(payload)
    except WireError:
        return True
    return False


def all_recorded() -> list[tuple[int, bytes]]:
    requests = [(int(Verb[name]), payload) for name in REQUESTS for payload in recorded(name)]
    return requests + [(int(Verb.OK), payload) for name in REPLIES for payload in recorded(name)]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


@pytest.mark.parametrize("name", sorted(set(REQUESTS) - {v.name for v in IGNORED_VERBS}))
def test_an_authentic_packet_cut_at_any_byte_is_a_counted_drop(pair: Pair, name: str) -> None:
    for payload in recorded(name)[:3]:
        for size in range(len(payload)):
            before, malformed = pair.counted, pair.dropped(Drop.MALFORMED)
            pair.forger.send(Verb[name], payload[:size], suite=CipherSuite.SALSA_POLY)
            assert pair.counted > before
            if is_malformed(name, payload[:size]):
                assert pair.dropped(Drop.MALFORMED) == malformed + 1


@pytest.mark.parametrize("name", REPLIES)
def test_an_answer_cut_at_any_byte_is_counted(pair: Pair, name: str) -> None:
    payload = recorded(name)[0]
    for size in range(len(payload)):
        before = pair.counted
        pair.forger.send(Verb.OK, payload[:size])
        assert pair.counted > before


def mutations(chance: random.Random, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield verb bytes and payloads that begin as recorded ones."""
    sources = all_recorded()
    for _ in range(count):
        verb, recorded_payload = chance.choice(sources)
        payload = bytearray(recorded_payload)
        for _ in range(chance.randrange(5)):
            if payload:
                payload[chance.randrange(len(payload))] = chance.choice((0, 1, 0x7F, 0xFF))
        if chance.random() < 0.5:  # meant for a network where we are
            payload[:8] = ADHOC.to_bytes(8, "big")
        if chance.random() < 0.2:
            verb = chance.randrange(32)
        yield verb | chance.choice((0, 0, 0, 0x20, 0x80)), bytes(payload)


@pytest.mark.parametrize("seed", range(3))
def test_a_node_survives_authentic_nonsense(seed: int) -> None:
    pair = Pair(seed)
    chance = pair.mesh.world.chance(f"nonsense/{seed}")
    with patch.object(pair.a.ports[ADHOC], "receive_frame"):  # the frames make no sense either
        for verb_byte, payload in mutations(chance, scaled(30_000)):
            before = pair.counted
            suite, hops = chance.choice(SEALED), chance.choice((0, 0, 0, 1, 7))
            pair.forger.deliver(pair.forger.seal(verb_byte, payload, suite=suite, hops=hops))
            assert pair.counted > before
    pair.mesh.run(5.0)
    assert pair.mesh.ping_and_wait(pair.b, pair.a, ADHOC) is not None
