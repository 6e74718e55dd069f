"""What strangers may cost."""

from ipaddress import ip_address

from ztlink.clock import Now
from ztlink.ids import Address, IpAddress
from ztlink.vl1.admission import (
    BLAME_LIFETIME,
    CROWD,
    MAX_BLAMED,
    MAX_PROVISIONAL,
    MAX_PROVISIONAL_PER_SOURCE,
    Provisional,
)
from ztlink.wire.identity import Identity

HERE: IpAddress = ip_address("44.1.0.9")
THERE: IpAddress = ip_address("44.2.0.9")


def identity(number: int, address: int | None = None) -> Identity:
    return Identity(Address(address or number + 1), number.to_bytes(64, "big"))


def at(mono: float) -> Now:
    return Now(mono, 0)


def test_one_address_of_a_key_is_tried_at_a_time() -> None:
    table = Provisional()
    assert table.add(identity(1, 5), HERE)
    assert not table.add(identity(1, 6), HERE)
    table.judged(identity(1, 5), True, at(0))
    assert table.add(identity(1, 6), HERE)


def test_the_table_is_bounded() -> None:
    table = Provisional()
    taken = [table.add(identity(number)) for number in range(MAX_PROVISIONAL + 1)]
    assert (taken[-1], len(table), table.welcomes(HERE, at(0))) == (False, MAX_PROVISIONAL, False)


def test_one_network_cannot_fill_the_table() -> None:
    table = Provisional()
    for number in range(MAX_PROVISIONAL_PER_SOURCE):
        table.add(identity(number), HERE)
    assert (table.welcomes(HERE, at(0)), table.welcomes(THERE, at(0))) == (False, True)


def test_who_was_checked_makes_room() -> None:
    table = Provisional()
    for number in range(MAX_PROVISIONAL_PER_SOURCE):
        table.add(identity(number), HERE)
    table.judged(identity(0), True, at(0))
    assert table.welcomes(HERE, at(0))


def test_a_false_proof_of_work_makes_its_network_wait() -> None:
    table = Provisional()
    table.add(identity(1), HERE)
    table.judged(identity(1), False, at(10))
    assert not table.welcomes(HERE, at(10 + BLAME_LIFETIME / 2))
    assert table.welcomes(HERE, at(10 + BLAME_LIFETIME))


def test_a_false_proof_of_work_makes_no_other_network_wait() -> None:
    table = Provisional()
    table.add(identity(1), HERE)
    table.judged(identity(1), False, at(10))
    assert table.welcomes(THERE, at(10))


def test_a_root_is_not_blamed_for_whom_it_told() -> None:
    table = Provisional()
    table.add(identity(1))
    table.judged(identity(1), False, at(10))
    assert table.welcomes(HERE, at(10))


def test_no_more_networks_are_blamed_than_fit() -> None:
    table = Provisional()
    for number in range(MAX_BLAMED + 1):
        ip = ip_address((44 << 24) + (number << 8))
        table.add(identity(number), ip)
        table.judged(identity(number), False, at(10))
    assert table.welcomes(ip_address(44 << 24), at(10))


def test_a_few_strangers_of_a_network_are_no_crowd() -> None:
    table = Provisional()
    for number in range(CROWD):
        table.add(identity(number), HERE)
    assert not table.is_in_crowd(identity(0))


def test_many_strangers_of_a_network_are_a_crowd_until_they_are_checked() -> None:
    table = Provisional()
    for number in range(CROWD + 1):
        table.add(identity(number), HERE)
    table.add(identity(1000), THERE)
    assert (table.is_in_crowd(identity(0)), table.is_in_crowd(identity(1000))) == (True, False)
    table.judged(identity(1), True, at(0))
    assert not table.is_in_crowd(identity(0))


def test_a_verdict_on_somebody_unknown_changes_nothing() -> None:
    table = Provisional()
    table.judged(identity(1), False, at(0))
    assert len(table) == 0
