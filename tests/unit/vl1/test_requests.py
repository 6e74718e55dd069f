from tests.unit.vl1.mesh import endpoint
from ztlink.clock import Now
from ztlink.ids import Address, PacketId, SocketId
from ztlink.vl1.requests import LIFETIME, MAX_REQUESTS, Request, Requests
from ztlink.wire.verbs import Verb

NOW = Now(50.0, 0)
PEER = Address(0x1234567890)


def make(destination: Address = PEER, sent: float = 50.0) -> Request:
    return Request(destination, Verb.ECHO, None, sent)


def test_an_answer_to_a_request_is_found() -> None:
    requests = Requests()
    request = make()
    requests.add(PacketId(7), request)
    assert requests.find(PacketId(7), PEER, Verb.ECHO, NOW) is request


def test_several_answers_to_one_request_are_fine() -> None:
    requests = Requests()
    requests.add(PacketId(7), make())
    requests.find(PacketId(7), PEER, Verb.ECHO, NOW)
    assert requests.find(PacketId(7), PEER, Verb.ECHO, NOW) is not None


def test_an_answer_from_somebody_else_is_not_found() -> None:
    requests = Requests()
    requests.add(PacketId(7), make())
    assert requests.find(PacketId(7), Address(1), Verb.ECHO, NOW) is None


def test_an_answer_to_another_verb_is_not_found() -> None:
    requests = Requests()
    requests.add(PacketId(7), make())
    assert requests.find(PacketId(7), PEER, Verb.WHOIS, NOW) is None


def test_an_answer_that_comes_too_late_is_not_found() -> None:
    requests = Requests()
    requests.add(PacketId(7), make())
    late = Now(NOW.mono + LIFETIME + 0.1, 0)
    assert requests.find(PacketId(7), PEER, Verb.ECHO, late) is None


def test_the_oldest_request_goes_where_there_are_too_many() -> None:
    requests = Requests()
    for number in range(MAX_REQUESTS + 1):
        requests.add(PacketId(number), make())
    assert requests.find(PacketId(0), PEER, Verb.ECHO, NOW) is None
    assert requests.find(PacketId(1), PEER, Verb.ECHO, NOW) is not None


def test_a_request_that_had_its_last_word_is_not_found_any_more() -> None:
    requests = Requests()
    requests.add(PacketId(7), make())
    requests.end(PacketId(7))
    assert requests.find(PacketId(7), PEER, Verb.ECHO, NOW) is None


def test_an_answer_is_repeated_where_it_comes_by_the_same_way() -> None:
    request, here, there = make(), SocketId(1), SocketId(2)
    ways = [(here, endpoint(1)), (there, endpoint(1)), (here, endpoint(2)), (here, endpoint(1))]
    assert [request.is_repeated(*way) for way in ways] == [False, False, False, True]
