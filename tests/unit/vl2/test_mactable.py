from ztlink.ids import Address, Mac, NetworkId, member_mac
from ztlink.vl2.mactable import MAX_ROUTES, MacTable

NETWORK = NetworkId(0x112972485D000001)
OWN, BRIDGE, OTHER = Address(0x202FE49703), Address(0x1111111111), Address(0x2222222222)
HOST = Mac(bytes.fromhex("525400123456"))


def make() -> MacTable:
    return MacTable(NETWORK, OWN)


def test_a_host_is_found_behind_its_bridge() -> None:
    table = make()
    table.learn(HOST, BRIDGE)
    assert table.bridge_for(HOST) == BRIDGE


def test_the_last_bridge_that_spoke_for_a_host_wins() -> None:
    table = make()
    table.learn(HOST, BRIDGE)
    table.learn(HOST, OTHER)
    assert table.bridge_for(HOST) == OTHER


def test_our_own_mac_is_never_learned() -> None:
    table = make()
    table.learn(member_mac(OWN, NETWORK), BRIDGE)
    assert len(table) == 0


def test_a_members_mac_is_never_learned() -> None:
    table = make()
    table.learn(member_mac(OTHER, NETWORK), BRIDGE)
    assert len(table) == 0


def test_a_group_is_never_learned() -> None:
    table = make()
    table.learn(Mac(bytes.fromhex("01005e000001")), BRIDGE)
    assert len(table) == 0


def test_the_table_is_bounded() -> None:
    table = make()
    for number in range(MAX_ROUTES + 10):
        table.learn(Mac(b"\x50\x00" + number.to_bytes(4, "big")), BRIDGE)
    assert len(table) == MAX_ROUTES
