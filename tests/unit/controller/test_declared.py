"""Networks that a controller's configuration names, and who is let into them."""

from collections.abc import Iterator

import pytest

from tests.unit.controller.rig import CONTROLLER, NETWORK, Rig, member, metadata
from ztlink.controller.declared import declare, let_in
from ztlink.controller.records import MemberRecord
from ztlink.errors import ConfigError
from ztlink.ids import NetworkId, PacketId
from ztlink.node.events import ConfigRequested

OTHER = NetworkId(CONTROLLER.address << 24 | 2)
FIELDS = {"name": "mesh", "private": True}


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.service.close()


def ask(rig: Rig, number: int, network_id: NetworkId = OTHER) -> bool:
    """Have a node ask for a network, and return whether that let it in."""
    event = ConfigRequested(network_id, member(number), metadata(), PacketId(7))
    rig.service.request(event)
    return let_in(rig.service, {OTHER}, event)


def is_authorized(rig: Rig, number: int) -> bool:
    return rig.service.members[OTHER][member(number).address].authorized


def test_a_network_that_is_not_there_is_made(rig: Rig) -> None:
    assert declare(rig.service, {OTHER: FIELDS}) == (OTHER,)
    assert rig.service.networks[OTHER].name == "mesh"


def test_a_network_that_is_there_stays_as_it_is(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    rig.service.update_network(OTHER, {"name": "changed by hand"})
    assert declare(rig.service, {OTHER: FIELDS}) == ()
    assert rig.service.networks[OTHER].name == "changed by hand"


def test_an_address_that_belongs_to_another_identity_is_not_let_in(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    address = member(1).address
    rig.service.members[OTHER][address] = MemberRecord(OTHER, address, 0, identity="another")
    assert not ask(rig, 1)


def test_a_network_of_another_controller_is_refused(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="112972485d000001 is not for this controller"):
        declare(rig.service, {NetworkId(0x112972485D000001): FIELDS})


def test_fields_that_are_not_good_are_refused_with_the_network(rig: Rig) -> None:
    with pytest.raises(ConfigError, match=f"{OTHER:016x}: mtu: 1 is not an integer"):
        declare(rig.service, {OTHER: {"mtu": 1}})


def test_who_asks_for_a_declared_network_is_let_in(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    assert ask(rig, 1)
    assert is_authorized(rig, 1)


def test_who_was_let_in_is_configured_at_once(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    ask(rig, 1)
    assert rig.core.configs[-1].member == member(1).address


def test_who_was_shut_out_stays_out(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    ask(rig, 1)
    rig.service.update_member(OTHER, member(1).address, {"authorized": False})
    assert not ask(rig, 1)
    assert not is_authorized(rig, 1)


def test_a_network_that_was_not_declared_stays_closed(rig: Rig) -> None:
    declare(rig.service, {OTHER: FIELDS})
    rig.create()
    assert not ask(rig, 1, NETWORK)


def test_a_network_that_was_deleted_lets_nobody_in(rig: Rig) -> None:
    assert not ask(rig, 1)
