"""Ten thousand forged HELLOs a second: what is computed for them, and what is kept of them."""

import random
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from tests.lab.flood import KEYS, Forgery, forge
from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from ztlink.batch import Train
from ztlink.crypto import armor
from ztlink.crypto import identity as identity_crypto
from ztlink.ids import Endpoint
from ztlink.stats import Drop
from ztlink.vl1 import hello, strangers
from ztlink.vl1.floodgate import source_of
from ztlink.wire.identity import Identity
from ztlink.wire.packet import OFFSET_AUTH_TAG
from ztlink.wire.verbs import Verb

RATE = 10_000
SECONDS = 2
TARGET, FRIEND = 1, 2
HOSTILE = [Endpoint(ip_address("44.1.0.9"), 20_000 + number) for number in range(64)]
KINDS = list(Forgery)


class Work:
    """How often the dear steps were taken."""

    def __init__(self) -> None:
        self.agreements = 0
        self.tags = 0
        self.batches = 0

    def agree(self, *arguments: Identity) -> bytes:
        self.agreements += 1
        return REAL_AGREE(*arguments)  # type: ignore[arg-type]  # ours is a secret one

    def check(self, packets: list[memoryview], ciphers: list[object]) -> list[bool]:
        self.tags += len(packets)
        self.batches += bool(packets)
        return REAL_CHECK(packets, ciphers)  # type: ignore[arg-type]


REAL_AGREE = identity_crypto.agree
REAL_CHECK = armor.check_hellos


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted = Work()
    monkeypatch.setattr(strangers, "agree", counted.agree)
    monkeypatch.setattr(hello, "check_hellos", counted.check)
    return counted


class Attack:
    """A target that talks to a friend, and a flood whose HELLOs the target's sockets hold back."""

    def __init__(self) -> None:
        self.mesh = Mesh(3)
        self.mesh.run(1)
        self.target = self.mesh.nodes[TARGET]
        self.target.vl1.egress.send(self.mesh.nodes[FRIEND].address, Verb.ECHO, b"", self.mesh.now)
        self.mesh.run(1)
        self.chance = random.Random(1)  # noqa: S311 - a lot, not a secret
        self.judged = 0
        self.is_filtering = True

    def packets(self, kind: Forgery) -> Iterator[bytes]:
        chance = random.Random(2)  # noqa: S311 - the same in every run
        return forge(kind, identity(TARGET).public, chance, identity(FRIEND).public)

    def flood(self, packets: Iterator[bytes], seconds: float = SECONDS) -> int:
        """Send as many a second; bad proofs of work are found ten times a second."""
        count = int(seconds * RATE)
        for number in range(count):
            if number % 100 == 0:
                self.mesh.run(100 / RATE)
            if number % 1000 == 0:
                self.judge()
            if not self.is_filtering or self.chance.random() < self._share():
                self.mesh.inject(TARGET, next(packets), HOSTILE[number % len(HOSTILE)])
        return count

    def _share(self) -> float:
        gate = self.target.vl1.introductions.floodgate.gate
        is_named = source_of(HOSTILE[0].ip) in gate.named
        return gate.named_share if is_named else gate.others_share

    def judge(self) -> None:
        waiting = self.target.vl1.strangers.validations
        if waiting:
            self.judged += 1
            self.target.vl1.strangers.validated(waiting.pop(0), False, self.mesh.now)

    def train(self, packets: list[bytes]) -> Train:
        return Train(memoryview(bytearray(b"".join(packets))), len(packets[0]), HOSTILE[0], SOCKET)


@pytest.fixture
def attack(work: Work) -> Attack:
    """Everything is at rest, and no work counts yet."""
    made = Attack()
    work.agreements = work.tags = work.batches = 0
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_costs_no_more_than_its_first_moments(
    attack: Attack, kind: Forgery, work: Work
) -> None:
    attack.flood(attack.packets(kind))
    assert work.agreements <= 1500
    assert work.tags <= 2000


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_filter_agreements_stay_within_their_budget(
    attack: Attack, kind: Forgery, work: Work
) -> None:
    attack.is_filtering = False
    attack.flood(attack.packets(kind), seconds=1)
    assert work.agreements <= strangers.NEWCOMERS_BURST + strangers.NEWCOMERS_PER_SECOND + 1


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_bounded_under_a_flood(attack: Attack, kind: Forgery) -> None:
    attack.flood(attack.packets(kind))
    vl1 = attack.target.vl1
    assert len(vl1.topology.peers) <= KEYS + 3
    assert len(vl1.strangers.validations) <= KEYS
    assert len(vl1.egress.requests._requests) < 3000  # noqa: SLF001 - the table itself


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_not_moved_by_a_flood(attack: Attack, kind: Forgery) -> None:
    friend = attack.target.vl1.topology.peers[identity(FRIEND).address]
    before = friend.best_path()
    attack.flood(attack.packets(kind), seconds=1)
    assert before is not None
    assert friend.best_path() is before


def test_strangers_in_crowds_get_an_answer_and_no_probes(attack: Attack) -> None:
    attack.is_filtering = False
    packets = attack.packets(Forgery.KEYED)
    attack.flood(packets, seconds=0.05)
    attack.mesh.run(0.01)
    sent = attack.target.ctx.stats.packets_out
    before = sent[Verb.HELLO]
    for number in range(100):
        attack.mesh.inject(TARGET, next(packets), HOSTILE[number % len(HOSTILE)])
    assert sent[Verb.HELLO] == before


def test_who_speaks_truly_from_elsewhere_is_admitted_during_a_flood(attack: Attack) -> None:
    attack.flood(attack.packets(Forgery.STRANGERS))
    attack.mesh.run(0.1)
    true = next(attack.packets(Forgery.KEYED))
    attack.mesh.inject(TARGET, true, endpoint(7))
    assert len(attack.target.vl1.strangers.validations) == 1


def test_tags_of_a_train_are_checked_at_once(attack: Attack, work: Work) -> None:
    packets = attack.packets(Forgery.PEERS)
    attack.target.vl1.receive(attack.train([next(packets) for _ in range(40)]), attack.mesh.now)
    assert (work.batches, work.tags) == (1, 40)
    assert attack.target.ctx.stats.drops[Drop.BAD_AUTH_TAG] == 40


def test_keys_are_agreed_once_for_a_train_of_one_stranger(attack: Attack, work: Work) -> None:
    packet = next(attack.packets(Forgery.STRANGERS))
    attack.target.vl1.receive(attack.train([packet] * 40), attack.mesh.now)
    assert (work.agreements, work.tags) == (1, 40)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packet: packet[:111],
        lambda packet: packet[:28] + b"\x03" + packet[29:],
        lambda packet: packet[:41] + bytes(5) + packet[46:],
    ],
    ids=["too short", "too old", "another address"],
)
def test_what_cannot_be_true_costs_nothing(
    attack: Attack, spoil: Callable[[bytes], bytes], work: Work
) -> None:
    attack.mesh.inject(TARGET, spoil(next(attack.packets(Forgery.STRANGERS))), HOSTILE[0])
    assert (work.agreements, work.tags) == (0, 0)
    assert attack.target.ctx.stats.drops[Drop.MALFORMED] == 1


def test_a_replayed_hello_is_answered_a_few_times_and_moves_no_path(attack: Attack) -> None:
    friend = attack.target.vl1.topology.peers[identity(FRIEND).address]
    before = friend.best_path()
    attack.mesh.nodes[FRIEND].vl1.introductions.send_hello(
        attack.mesh.nodes[FRIEND].vl1.topology.peers[identity(TARGET).address],
        SOCKET,
        endpoint(TARGET),
        attack.mesh.now,
    )
    attack.mesh.run(0.01)
    true = next(d for s, r, d in reversed(attack.mesh.log) if (s, r) == (FRIEND, TARGET))
    answered = attack.target.ctx.stats.packets_in[Verb.HELLO]
    attack.flood(iter([true] * SECONDS * RATE))
    assert attack.target.ctx.stats.packets_in[Verb.HELLO] - answered < 300
    assert friend.best_path() is before


def test_a_bad_proof_of_work_is_not_looked_at_twice(attack: Attack, work: Work) -> None:
    packets = [next(attack.packets(Forgery.KEYED))] * 2
    attack.mesh.inject(TARGET, packets[0], HOSTILE[0])
    attack.judge()
    attack.mesh.run(5)
    attack.mesh.inject(TARGET, packets[1], HOSTILE[0])
    assert work.agreements == 1


def test_a_flood_of_forged_tags_is_told_apart_in_the_counters(attack: Attack) -> None:
    packet = bytearray(next(attack.packets(Forgery.PEERS)))
    packet[OFFSET_AUTH_TAG] ^= 1
    attack.mesh.inject(TARGET, bytes(packet), HOSTILE[0])
    assert attack.target.ctx.stats.drops[Drop.BAD_AUTH_TAG] == 1
