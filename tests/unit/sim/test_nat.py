"""The four kinds of NAT, as seen from both sides."""

import pytest

from tests.sim.internet import Gateway
from tests.sim.nat import NatKind
from tests.sim.world import World
from tests.unit.sim.wires import PORT, Inbox, open_inbox
from ztlink.ids import Endpoint

CONES = [NatKind.FULL_CONE, NatKind.RESTRICTED, NatKind.PORT_RESTRICTED]


class Scene:
    """An inside host behind a box, and two hosts outside."""

    def __init__(self, kind: NatKind, *, lifetime: float = 30.0, has_hairpin: bool = False) -> None:
        self.world = World(7)
        self.box: Gateway = self.world.add_nat(
            "box", kind, lifetime=lifetime, has_hairpin=has_hairpin
        )
        self.inside = self._open("inside")
        self.b = open_inbox(self.world, self.world.add_host("b"))
        self.c = open_inbox(self.world, self.world.add_host("c"))

    def _open(self, name: str) -> Inbox:
        return open_inbox(self.world, self.world.add_host_behind(self.box, name))

    def second_inside(self) -> Inbox:
        return self._open("second")

    def run(self) -> None:
        self.world.run(1.0)


def seen_by_b(scene: Scene) -> Endpoint:
    """Have the inside host send to b, and return where b saw it come from."""
    scene.inside.send(scene.b.endpoint)
    scene.run()
    return scene.b.sources[-1]


@pytest.mark.parametrize("kind", NatKind)
def test_the_source_is_translated_to_the_address_outside(kind: NatKind) -> None:
    scene = Scene(kind)
    seen = seen_by_b(scene)
    assert seen.ip == scene.box.nat.outside
    assert seen != scene.inside.endpoint


@pytest.mark.parametrize("kind", NatKind)
def test_an_answer_from_the_destination_comes_in(kind: NatKind) -> None:
    scene = Scene(kind)
    scene.b.send(seen_by_b(scene), b"answer")
    scene.run()
    assert scene.inside.payloads == [b"answer"]


@pytest.mark.parametrize("kind", NatKind)
def test_nothing_comes_in_where_nothing_went_out(kind: NatKind) -> None:
    scene = Scene(kind)
    scene.b.send(Endpoint(scene.box.nat.outside, PORT))
    scene.run()
    assert (scene.inside.payloads, scene.box.nat.refused) == ([], 1)


@pytest.mark.parametrize("kind", CONES)
def test_a_cone_maps_an_inside_endpoint_to_one_port(kind: NatKind) -> None:
    scene = Scene(kind)
    first = seen_by_b(scene)
    scene.inside.send(scene.c.endpoint)
    scene.run()
    assert scene.c.sources == [first]


def test_a_symmetric_nat_maps_every_destination_to_a_port_of_its_own() -> None:
    scene = Scene(NatKind.SYMMETRIC)
    first = seen_by_b(scene)
    scene.inside.send(scene.c.endpoint)
    scene.run()
    assert scene.c.sources != [first]


@pytest.mark.parametrize(
    ("kind", "comes_in"),
    [
        (NatKind.FULL_CONE, True),
        (NatKind.RESTRICTED, False),
        (NatKind.PORT_RESTRICTED, False),
        (NatKind.SYMMETRIC, False),
    ],
)
def test_only_a_full_cone_lets_a_stranger_in(kind: NatKind, comes_in: bool) -> None:
    scene = Scene(kind)
    scene.c.send(seen_by_b(scene), b"stranger")
    scene.run()
    assert scene.inside.payloads == [b"stranger"] * comes_in


@pytest.mark.parametrize(
    ("kind", "comes_in"),
    [
        (NatKind.FULL_CONE, True),
        (NatKind.RESTRICTED, True),
        (NatKind.PORT_RESTRICTED, False),
        (NatKind.SYMMETRIC, False),
    ],
)
def test_another_port_of_a_known_host_comes_in_where_ports_do_not_matter(
    kind: NatKind, comes_in: bool
) -> None:
    scene = Scene(kind)
    scene.inside.send(Endpoint(scene.b.endpoint.ip, 4444))
    scene.inside.send(scene.c.endpoint)
    scene.run()
    port = scene.c.sources[0].port
    mapped = Endpoint(scene.box.nat.outside, port)
    scene.b.send(mapped, b"other port")
    scene.run()
    assert scene.inside.payloads == [b"other port"] * comes_in


@pytest.mark.parametrize("kind", NatKind)
def test_a_mapping_is_forgotten_after_its_lifetime(kind: NatKind) -> None:
    scene = Scene(kind, lifetime=30.0)
    seen = seen_by_b(scene)
    scene.world.run(31.0)
    scene.b.send(seen, b"late")
    scene.run()
    assert scene.inside.payloads == []


@pytest.mark.parametrize("kind", NatKind)
def test_a_mapping_lives_as_long_as_it_is_used(kind: NatKind) -> None:
    scene = Scene(kind, lifetime=30.0)
    first = seen_by_b(scene)
    for _ in range(5):
        scene.world.run(25.0)
        assert seen_by_b(scene) == first


@pytest.mark.parametrize("kind", NatKind)
def test_rebinding_gives_another_port(kind: NatKind) -> None:
    scene = Scene(kind)
    first = seen_by_b(scene)
    scene.box.nat.rebind()
    assert seen_by_b(scene).port != first.port


def test_renumbering_gives_another_address() -> None:
    scene = Scene(NatKind.FULL_CONE)
    first = seen_by_b(scene)
    scene.box.renumber(scene.world.next_ipv4())
    second = seen_by_b(scene)
    scene.b.send(first, b"to the old")
    scene.b.send(second, b"to the new")
    scene.run()
    assert scene.inside.payloads == [b"to the new"]


def test_hosts_behind_one_box_reach_each_other_directly() -> None:
    scene = Scene(NatKind.SYMMETRIC)
    second = scene.second_inside()
    scene.inside.send(second.endpoint, b"near")
    scene.run()
    assert second.sources == [scene.inside.endpoint]


@pytest.mark.parametrize("has_hairpin", [False, True])
def test_a_box_turns_datagrams_round_only_where_it_has_a_hairpin(has_hairpin: bool) -> None:
    scene = Scene(NatKind.FULL_CONE, has_hairpin=has_hairpin)
    seen = seen_by_b(scene)
    second = scene.second_inside()
    second.send(seen, b"round")
    scene.run()
    assert scene.inside.payloads == [b"round"] * has_hairpin


def test_a_punch_opens_the_own_box_and_does_not_reach_the_other() -> None:
    scene = Scene(NatKind.PORT_RESTRICTED)
    mapped = seen_by_b(scene)
    scene.inside.send(scene.c.endpoint, b"punch", ttl=2)
    scene.run()
    scene.c.send(mapped, b"through the hole")
    scene.run()
    assert (scene.c.payloads, scene.inside.payloads) == ([], [b"through the hole"])


def test_a_box_behind_a_box_translates_twice() -> None:
    scene = Scene(NatKind.FULL_CONE)
    inner = scene.world.add_nat(
        "inner", NatKind.SYMMETRIC, outside=scene.box.inside, outside_ip="192.168.1.2"
    )
    deep = open_inbox(
        scene.world, scene.world.add_host_behind(inner, "deep", network="10.0.0.0/24")
    )
    deep.send(scene.b.endpoint, b"from the depth")
    scene.run()
    scene.b.send(scene.b.sources[0], b"back")
    scene.run()
    assert scene.b.sources[0].ip == scene.box.nat.outside
    assert deep.payloads == [b"back"]


def test_two_lans_may_use_the_same_addresses() -> None:
    scene = Scene(NatKind.FULL_CONE)
    other = scene.world.add_nat("other", NatKind.FULL_CONE)
    twin = open_inbox(scene.world, scene.world.add_host_behind(other, "twin"))
    assert twin.endpoint == scene.inside.endpoint
    twin.send(scene.b.endpoint)
    seen_by_b(scene)
    assert [s.ip for s in scene.b.sources] == [other.nat.outside, scene.box.nat.outside]
