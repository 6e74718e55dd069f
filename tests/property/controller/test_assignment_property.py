"""Whatever happens in whatever order, no two members have one address."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.controller.rig import NETWORK, Rig, member
from ztlink.controller.fields import FieldError

FEW: dict[str, Any] = {
    "private": False,
    "v4AssignMode": {"zt": True},
    "v6AssignMode": {"zt": True},
    "routes": [{"target": "10.9.0.0/24", "via": None}, {"target": "fd00::/112", "via": None}],
    "ipAssignmentPools": [
        {"ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.6"},
        {"ipRangeStart": "fd00::1", "ipRangeEnd": "fd00::6"},
    ],
}
"""Pools that are too small for all."""

numbers = st.integers(1, 8)
addresses = st.integers(1, 7).map(lambda n: f"10.9.0.{n}") | st.integers(1, 7).map(
    lambda n: f"fd00::{n}"
)
steps = st.one_of(
    st.tuples(st.just("ask"), numbers),
    st.tuples(st.just("assign"), numbers, st.lists(addresses, max_size=3)),
    st.tuples(st.just("delete"), numbers),
    st.tuples(st.just("shut out"), numbers),
    st.tuples(st.just("start anew")),
)


def take(rig: Rig, step: tuple[Any, ...]) -> Rig:
    """Take a step; return the controller that goes on."""
    match step:
        case "ask", number:
            rig.pass_time(2.0)
            rig.ask(number)
        case "assign", number, wanted:
            try:
                rig.set_member(number, ipAssignments=wanted)
            except FieldError as error:
                assert "belongs to" in str(error)  # noqa: PT017 - no other reason is a good one
        case "delete", number:
            rig.service.delete_member(NETWORK, member(number).address)
        case "shut out", number:
            rig.set_member(number, authorized=False)
        case _:
            return Rig(rig.store)
    return rig


@given(st.lists(steps, max_size=40))
def test_no_two_members_ever_have_one_address(taken: list[tuple[Any, ...]]) -> None:
    rig = Rig()
    rig.service.create_network(NETWORK, FEW)
    for step in taken:
        rig = take(rig, step)
        records = rig.service.members[NETWORK].values()
        held = [ip for record in records for ip in record.ip_assignments]
        assert len(set(held)) == len(held)
        assert rig.store.members() == sorted(records, key=lambda record: record.address)
    rig.store.close()
