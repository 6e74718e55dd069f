"""Identities are checked in another process."""

import dataclasses
import queue
from collections.abc import Iterator

import pytest

from tests.unit.vl1.mesh import identity
from ztlink.drivers.validator import Validator
from ztlink.ids import Address
from ztlink.wire.identity import Identity

GOOD = identity(0).public
FORGED = dataclasses.replace(GOOD, address=Address(GOOD.address ^ 1))


@pytest.fixture
def validator() -> Iterator[Validator]:
    made = Validator()
    yield made
    made.close()


@pytest.mark.parametrize(("checked", "is_good"), [(GOOD, True), (FORGED, False)])
def test_the_verdict_comes_with_its_identity(
    validator: Validator, checked: Identity, is_good: bool
) -> None:
    verdicts: queue.SimpleQueue[tuple[Identity, bool]] = queue.SimpleQueue()
    validator.submit(checked, lambda who, ok: verdicts.put((who, ok)))
    assert verdicts.get(timeout=60) == (checked, is_good)


def test_a_validator_that_was_not_used_can_be_closed(validator: Validator) -> None:
    validator.close()
    validator.close()
