"""/metrics of a controller has the original's series, which count what they say."""

import re

from tests.unit.api.rig import controller_api
from tests.unit.api.test_metrics import RECORDED
from tests.unit.controller.rig import NETWORK, member
from ztlink.api.controller_metrics import controller_families


def families(text: str) -> dict[str, str]:
    """Return the type of each family of a controller's."""
    return dict(re.findall(r"^# TYPE (controller_\w+) (\w+)$", text, re.MULTILINE))


async def test_a_controller_tells_what_it_serves() -> None:
    async with controller_api() as (speaker, rig):
        rig.create(name="lab")
        rig.set_member(1, authorized=True)
        text = (await speaker.ask("GET", "/metrics")).body.decode()
    assert families(text) == families(RECORDED)
    assert "controller_member_count 1.0" in text.splitlines()


async def test_a_controller_counts_what_was_done_with_it() -> None:
    async with controller_api() as (speaker, rig):
        rig.create(name="lab")
        rig.set_member(1, authorized=True)
        rig.ask(1)  # which gives it an address
        rig.set_member(1, authorized=False)
        rig.service.delete_member(NETWORK, member(1).address)
        for path in ("", "/member", f"/member/{member(1).address:010x}"):
            await speaker.ask("GET", f"/controller/network/{NETWORK:016x}{path}")
        await speaker.ask("GET", f"/unstable/controller/network/{NETWORK:016x}/member")
        await speaker.ask("GET", "/controller/network")
        text = (await speaker.ask("GET", "/metrics")).body.decode()
    counted = dict(re.findall(r"^controller_(\w+) (\S+)$", text, re.MULTILINE))
    assert {name: float(value) for name, value in counted.items()} == {
        "network_count": 1,
        "member_count": 0,
        "network_config_request_queue": 0,
        "network_config_request_threads": 1,
        "network_change_count": 1,
        "member_change_count": 4,
        "member_auth_count": 1,
        "member_deauth_count": 1,
        "network_config_request": 1,
        "sso_expiration_checks": 0,
        "sso_timeouts": 0,
        "db_get_network": 1,
        "db_get_network_and_member": 1,
        "db_get_networK_and_member_summary": 1,
        "db_get_member_list": 1,
        "db_get_network_list": 1,
        "db_member_change": 4,
        "db_network_change": 1,
    }


async def test_every_family_says_what_it_means() -> None:
    async with controller_api() as (_, rig):
        told = [family.documentation for family in controller_families(rig.service)]
    assert [text for text in told if not text.endswith(".")] == []
