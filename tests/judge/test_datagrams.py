"""Echoes and datagrams between a program in user space and a kernel."""

import pytest

from tests.judge.field import VERSIONS, Field

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
FAMILIES = pytest.mark.parametrize("version", VERSIONS)
SIZES = (0, 1, 56, 1472, 2000, 2772, 2773, 9000)
PATTERN = bytes(range(256)) * 36


@FAMILIES
@pytest.mark.parametrize("size", [56, 2000])
async def test_a_program_pings_the_kernel(field: Field, version: int, size: int) -> None:
    assert (await field.network.ping(field.kernel_ip(version), size=size)).size == size
