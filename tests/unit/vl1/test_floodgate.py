"""When HELLOs are held back, whose, and for how long."""

import random
from ipaddress import ip_address

import pytest

from ztlink.clock import Now
from ztlink.deadlines import DeadlineQueue, Timed
from ztlink.ids import IpAddress
from ztlink.vl1.floodgate import (
    MAX_COUNTED,
    MAX_NAMED,
    OPEN,
    TRIGGER,
    Floodgate,
    Gate,
    source_of,
)

HOSTILE: IpAddress = ip_address("44.1.0.9")
SIX: IpAddress = ip_address("2001:db8:1:2::9")


class Flood:
    """Refused HELLOs, of which a socket lets pass what the gate says."""

    def __init__(self) -> None:
        self.timers: DeadlineQueue[Timed] = DeadlineQueue()
        self.floodgate = Floodgate(self.timers)
        self.mono = 1000.0
        self.passed = 0
        self.chance = random.Random(1)  # noqa: S311 - a lot, not a secret

    @property
    def gate(self) -> Gate:
        return self.floodgate.gate

    def share(self, ip: IpAddress) -> float:
        is_named = source_of(ip) in self.gate.named
        return self.gate.named_share if is_named else self.gate.others_share

    def send(self, rate: float, seconds: float, *ips: IpAddress) -> int:
        """Send HELLOs from these addresses in turn; return how many passed."""
        self.passed = 0
        for number in range(int(rate * seconds)):
            self.wait(1 / rate)
            ip = ips[number % len(ips)]
            if self.chance.random() < self.share(ip):
                self.passed += 1
                self.floodgate.refused(ip, Now(self.mono, 0))
        return self.passed

    def wait(self, seconds: float) -> None:
        until = self.mono + seconds
        while (head := self.timers.head()) is not None and head <= until:
            self.mono = max(self.mono, head)
            owner = self.timers.pop_due(self.mono)
            assert owner is not None
            owner.handle_timer(Now(self.mono, 0))
        self.mono = until


def test_the_gate_is_open_at_first() -> None:
    assert Flood().gate is OPEN


def test_a_few_hundred_refused_at_once_close_the_gate_for_their_source() -> None:
    flood = Flood()
    flood.send(10_000, TRIGGER / 10_000, HOSTILE)
    assert flood.gate.named == {source_of(HOSTILE)}


def test_others_are_not_touched() -> None:
    flood = Flood()
    flood.send(10_000, 1, HOSTILE)
    assert flood.share(ip_address("44.1.1.9")) == 1.0


def test_as_many_over_an_hour_do_not() -> None:
    flood = Flood()
    flood.send(0.1, 10 * TRIGGER, HOSTILE)
    assert flood.gate is OPEN


def test_of_a_flood_some_hundred_a_second_are_read() -> None:
    flood = Flood()
    flood.send(10_000, 1, HOSTILE)
    assert 500 < flood.send(10_000, 10, HOSTILE) < 2000


def test_the_shares_follow_a_flood_that_grows() -> None:
    flood = Flood()
    flood.send(2_000, 2, HOSTILE)
    flood.send(20_000, 2, HOSTILE)
    assert 100 < flood.send(20_000, 2, HOSTILE) < 400


def test_the_gate_opens_when_the_flood_is_over() -> None:
    flood = Flood()
    flood.send(10_000, 3, HOSTILE)
    flood.wait(2.1)
    assert flood.gate is OPEN


def test_a_gate_that_is_open_wants_no_timer() -> None:
    flood = Flood()
    flood.send(10_000, 1, HOSTILE)
    flood.wait(2.1)
    assert flood.timers.head() is None


def test_a_gate_stays_closed_while_the_flood_goes_on() -> None:
    flood = Flood()
    flood.send(10_000, 30, HOSTILE)
    assert flood.gate.named == {source_of(HOSTILE)}


def test_floods_of_several_networks_are_named_together() -> None:
    flood = Flood()
    ips = [ip_address(f"44.1.{number}.9") for number in range(4)]
    flood.send(10_000, 3, *ips, SIX)
    assert flood.gate.named == {source_of(ip) for ip in (*ips, SIX)}


def test_a_flood_from_everywhere_is_held_back_as_a_whole() -> None:
    flood = Flood()
    ips = [ip_address(f"44.{number // 250}.{number % 250}.9") for number in range(5000)]
    flood.send(10_000, 3, *ips)
    assert flood.gate.others_share < 0.1
    assert flood.send(10_000, 5, *ips) < 5 * 400


def test_tables_are_bounded() -> None:
    flood = Flood()
    ips = [ip_address(f"44.{number // 250}.{number % 250}.9") for number in range(5000)]
    for number in range(40):
        flood.send(20_000, 0.1, *ips[100 * number :])
        assert len(flood.floodgate) <= MAX_COUNTED
        assert len(flood.gate.named) <= MAX_NAMED


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("44.1.0.1", "44.1.0.254", True),
        ("44.1.0.1", "44.1.1.1", False),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("0.0.0.0", "::", False),  # noqa: S104 - as a number
    ],
)
def test_a_source_is_what_one_host_can_speak_for(one: str, other: str, same: bool) -> None:
    assert (source_of(ip_address(one)) == source_of(ip_address(other))) == same
