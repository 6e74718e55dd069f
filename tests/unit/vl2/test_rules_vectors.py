"""The engine against the answers of the reference node (rules.json)."""

import pytest

from tests.unit.vl2.rule_cases import (
    ADDRESSES,
    DATA,
    Case,
    capabilities_of,
    context_of,
    program_of,
)
from ztlink.vl2.rules import Decision, decide_inbound, decide_outbound

BATCH = 100


def _answer(case: Case) -> tuple[object, ...]:
    context = context_of(case)
    verdict = program_of(case["t"]).evaluate(context)
    return (
        verdict.name,
        context.redirected_to,
        context.copy_to,
        context.copy_size if context.copy_to else None,
        context.copy_is_watch if context.copy_to else None,
    )


def _known_answer(case: Case) -> tuple[object, ...]:
    after, copy_to = case.get("dst_after"), case.get("copy_to")
    return (
        case["r"],
        None if after is None else ADDRESSES[after],
        None if copy_to is None else ADDRESSES[copy_to],
        case.get("copy_len"),
        case.get("watch"),
    )


@pytest.mark.parametrize("first", range(0, len(DATA["cases"]), BATCH))
def test_a_table_judges_as_the_reference_does(first: int) -> None:
    cases = DATA["cases"][first : first + BATCH]
    assert [_answer(case) for case in cases] == [_known_answer(case) for case in cases]


def _decide(case: Case) -> Decision:
    context, base = context_of(case), program_of(case["t"])
    if case["in"]:
        return decide_inbound(context, base, capabilities_of(case))
    no_tee = bool(case.get("no_tee"))
    return decide_outbound(context, base, capabilities_of(case), no_tee=no_tee)


def _decision(case: Case) -> tuple[object, ...]:
    decision = _decide(case)
    payload = context_of(case).frame[14:]
    copies = [[c.address, c.kind, bytes(payload[: c.size])] for c in decision.copies]
    return int(decision.acceptance), copies


def _known_decision(case: Case) -> tuple[object, ...]:
    payload = context_of(case).frame[14:]
    copies = [
        [ADDRESSES[address], flags, bytes(payload[:size])]
        for address, flags, size in case["copies"]
    ]
    return case["r"], copies


@pytest.mark.parametrize("first", range(0, len(DATA["network_cases"]), BATCH))
def test_a_network_decides_as_the_reference_does(first: int) -> None:
    cases = DATA["network_cases"][first : first + BATCH]
    assert [_decision(case) for case in cases] == [_known_decision(case) for case in cases]
