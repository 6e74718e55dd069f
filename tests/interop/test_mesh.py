"""Four members of both kinds: each reaches each other."""

import itertools

import pytest

from tests.lab.measure import first_answer, ping
from tests.lab.mesh import Mesh

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

FIRST_ANSWER_TIMEOUT = 20.0
PAIRS = list(itertools.permutations(range(4), 2))
pairs = pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{a}-to-{b}" for a, b in PAIRS])


@pairs
def test_each_member_reaches_each_other_by_ipv4(four: Mesh, one: int, other: int) -> None:
    host, target = four.members[one].host, four.ip(four.members[other])
    first_answer(host, target, timeout=FIRST_ANSWER_TIMEOUT)
    assert ping(host, target, count=20, interval=0.01).lost == 0


@pairs
def test_each_member_reaches_each_other_by_ipv6(four: Mesh, one: int, other: int) -> None:
    host, target = four.members[one].host, four.members[other].ipv6(four.network_id)
    first_answer(host, target, timeout=FIRST_ANSWER_TIMEOUT)
    assert ping(host, target, count=20, interval=0.01).lost == 0
