"""Connections that peers open in a flood: bounded memory, SYN cookies (RFC 4987)."""

from dataclasses import replace

from tests.unit.netstack.tcp.rig import (
    ACK,
    PEER_INITIAL,
    REMOTE,
    RENO,
    SYN,
    Rig,
    described,
    options_of,
)
from ztlink.ids import Endpoint
from ztlink.netstack.events import Accepted
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.passive import COOKIE_TIME


def flood(rig: Rig, count: int) -> None:
    for port in range(count):
        rig.remote = Endpoint(REMOTE.ip, 1000 + port)
        rig.receive(SYN, seq=PEER_INITIAL, options=rig.syn_options())
    rig.remote = REMOTE


def test_half_open_connections_are_bounded_and_cookies_answer() -> None:
    rig = Rig(replace(RENO, max_half_open=5))
    rig.listen()
    flood(rig, 50)
    assert [described(out) for _, out in rig.sent] == ["SA"] * 50
    rig.sent.clear()
    rig.advance(1.1)
    assert len(rig.sent) == 5


def cookie_rig(*, timestamps: bool = False) -> Rig:
    rig = Rig(replace(RENO, max_half_open=1, timestamps=timestamps), shift=4)
    rig.stamp = 900 if timestamps else None
    rig.listen()
    flood(rig, 1)
    (answer,) = rig.receive(SYN, options=rig.syn_options())
    rig.echo = options_of(answer).timestamp or 0
    return rig


def accept_only(rig: Rig) -> None:
    event = rig.pop_events()[0]
    assert isinstance(event, Accepted)
    found = rig.layer.accept(event.listener)
    assert found is not None
    rig.id = found


def test_a_cookie_that_comes_back_makes_a_connection() -> None:
    rig = cookie_rig()
    rig.mono += 0.1
    rig.receive(ACK, data=b"hello")
    accept_only(rig)
    assert rig.read() == b"hello"
    (out,) = rig.write(b"answer")
    assert out.acknowledgement == rig.peer


def test_a_cookie_keeps_the_segment_size() -> None:
    rig = cookie_rig()
    rig.receive(ACK)
    accept_only(rig)
    (out,) = rig.write(b"x" * 5000)
    assert out.segment_size == 536


def test_a_cookie_keeps_options_in_the_timestamp() -> None:
    rig = cookie_rig(timestamps=True)
    rig.window = 100
    rig.receive(ACK)
    accept_only(rig)
    (ack,) = rig.receive(ACK, seq=rig.peer + 10, data=b"later")
    assert options_of(ack).blocks
    rig.sent.clear()
    rig.write(b"x" * 5000)
    assert 1500 < sum(out.size for _, out in rig.sent) <= 100 << 4


def test_timestamps_go_on_after_a_cookie() -> None:
    rig = cookie_rig(timestamps=True)
    told = rig.echo
    rig.mono += 0.01
    rig.receive(ACK)
    accept_only(rig)
    (out,) = rig.write(b"x")
    stamp = options_of(out).timestamp
    assert stamp is not None
    assert stamp - told & MASK < 1000


def test_a_cookie_that_is_made_up_is_reset() -> None:
    rig = cookie_rig()
    (reset,) = rig.receive(ACK, ack=rig.ours + 1)
    assert described(reset) == "R"
    assert not rig.events


def test_a_cookie_of_another_flow_is_reset() -> None:
    rig = cookie_rig()
    rig.remote = Endpoint(REMOTE.ip, 55_555)
    assert described(rig.receive(ACK)[0]) == "R"


def test_a_cookie_grows_old() -> None:
    rig = cookie_rig()
    rig.mono += 127
    flood(rig, 3)
    rig.mono += 10
    assert "R" in [described(out) for out in rig.receive(ACK)]
    assert not rig.events


def test_a_cookie_counts_only_after_a_flood() -> None:
    rig = cookie_rig()
    rig.mono += COOKIE_TIME + 1
    assert "R" in [described(out) for out in rig.receive(ACK)]
