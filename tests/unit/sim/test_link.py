"""What links do to datagrams."""

from itertools import pairwise
from random import Random

import pytest

from tests.sim.link import Datagram, Link
from tests.sim.world import World
from tests.unit.sim.wires import Inbox, open_inbox

COUNT = 5000


def make_pair(world: World) -> tuple[Inbox, Inbox]:
    a, b = world.add_host("a"), world.add_host("b")
    return open_inbox(world, a), open_inbox(world, b)


def send_many(world: World, a: Inbox, b: Inbox, count: int = COUNT) -> None:
    numbers = iter(range(count))
    world.schedule.every(
        0.001,
        lambda: a.send(b.endpoint, next(numbers).to_bytes(4, "big")),
        until=world.time + (count - 0.5) * 0.001,
    )
    world.run(count * 0.001 + 1.0)


def test_a_datagram_arrives_after_the_delay() -> None:
    world = World(1, delay=0.025)
    a, b = make_pair(world)
    a.send(b.endpoint, b"hello")
    world.run(1.0)
    assert (b.payloads, b.times) == ([b"hello"], [0.025])


def test_without_loss_everything_arrives_once_and_in_order() -> None:
    world = World(1)
    a, b = make_pair(world)
    send_many(world, a, b)
    assert [int.from_bytes(p, "big") for p in b.payloads] == list(range(COUNT))


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.5])
def test_the_rate_of_loss_is_what_was_asked_for(loss: float) -> None:
    world = World(1, loss=loss)
    a, b = make_pair(world)
    send_many(world, a, b)
    assert len(b.payloads) == pytest.approx(COUNT * (1 - loss), rel=0.1 * loss / (1 - loss) + 0.01)
    assert world.internet.backbone.lost == COUNT - len(b.payloads)


def test_the_rate_of_duplication_is_what_was_asked_for() -> None:
    world = World(1)
    world.internet.backbone.duplication = 0.2
    a, b = make_pair(world)
    send_many(world, a, b)
    assert len(b.payloads) == pytest.approx(COUNT * 1.2, rel=0.02)


def test_jitter_keeps_the_order_of_a_flow() -> None:
    world = World(1)
    world.internet.backbone.jitter = 0.01
    a, b = make_pair(world)
    send_many(world, a, b)
    assert [int.from_bytes(p, "big") for p in b.payloads] == list(range(COUNT))


def test_jitter_spreads_the_times_of_arrival() -> None:
    world = World(1, delay=0.010)
    world.internet.backbone.jitter = 0.010
    a, b = make_pair(world)
    for start in range(100):
        world.schedule.at(float(start), lambda: a.send(b.endpoint))
    world.run(100.0)
    travelled = [time % 1.0 for time in b.times]
    assert min(travelled) < 0.011
    assert max(travelled) > 0.019


def test_reordering_lets_datagrams_be_overtaken() -> None:
    world = World(1)
    world.internet.backbone.reordering = 0.1
    a, b = make_pair(world)
    send_many(world, a, b)
    numbers = [int.from_bytes(p, "big") for p in b.payloads]
    late = sum(1 for here, after in pairwise(numbers) if after < here)
    assert late == pytest.approx(COUNT * 0.1, rel=0.15)
    assert sorted(numbers) == list(range(COUNT))


def test_a_rate_spaces_datagrams() -> None:
    world = World(1, delay=0.0)
    a, b = make_pair(world)
    a.host.up.rate = 100_000
    a.send(b.endpoint, bytes(9720), segment=972)
    world.run(1.0)
    assert b.times == pytest.approx([0.01 * (i + 1) for i in range(10)])


def test_what_waits_too_long_for_a_rate_is_dropped() -> None:
    world = World(1)
    a, b = make_pair(world)
    a.host.up.rate, a.host.up.patience = 100_000, 0.055
    a.send(b.endpoint, bytes(9720), segment=972)
    world.run(1.0)
    assert len(b.payloads) == 6


def test_a_black_hole_swallows_everything_until_it_is_mended() -> None:
    world = World(1)
    a, b = make_pair(world)
    world.internet.break_path("a", "b")
    a.send(b.endpoint, b"lost")
    b.send(a.endpoint, b"lost")
    world.run(1.0)
    world.internet.mend_path("a", "b")
    a.send(b.endpoint, b"found")
    world.run(1.0)
    assert (a.payloads, b.payloads) == ([], [b"found"])


def test_a_black_hole_is_between_two_stations_only() -> None:
    world = World(1)
    a, _ = make_pair(world)
    c = open_inbox(world, world.add_host("c"))
    world.internet.break_path("a", "b")
    a.send(c.endpoint, b"found")
    world.run(1.0)
    assert c.payloads == [b"found"]


def test_datagrams_above_the_size_of_a_link_vanish() -> None:
    world = World(1)
    a, b = make_pair(world)
    b.host.down.max_size = 1000
    a.send(b.endpoint, bytes(1001))
    a.send(b.endpoint, bytes(1000))
    world.run(1.0)
    assert [len(p) for p in b.payloads] == [1000]


def test_a_short_time_to_live_ends_within_the_internet() -> None:
    world = World(1)
    a, b = make_pair(world)
    a.send(b.endpoint, ttl=2)
    world.run(1.0)
    assert (b.payloads, world.internet.expired) == ([], 1)


def test_links_draw_no_chance_that_they_do_not_need() -> None:
    chance = Random(1)  # noqa: S311 - it is to be repeatable
    before = chance.getstate()
    world = World(1)
    a, b = make_pair(world)
    Link(delay=1.0).arrivals(Datagram(a.endpoint, b.endpoint, b""), 0.0, chance)
    assert chance.getstate() == before
