"""Rules that stay in force, whatever others do, and go without a trace."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from tests.host.firewalled import (
    CLUSTER,
    DEVICE,
    NODE,
    OVERLAY,
    Surroundings,
    listening,
    load,
    nft,
    reaches,
    ruleset,
    service,
    surroundings,
    sysctl,
)
from tests.host.machine import ip, wait_for
from ztlink.conditions import Status
from ztlink.errors import HostError
from ztlink.host.firewall.claim import TableClaim, holder_of
from ztlink.host.firewall.cleanup import remove_all
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding, Masquerade
from ztlink.host.linkconf import LOOSE, Ipv4Conf, read_ipv4_conf
from ztlink.host.nft import Nft

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

DENY = FirewallSettings()
WEB = FirewallSettings(services=(service("tcp", 80),))
THROUGH = FirewallSettings(from_overlay=Forwarding.ALLOW)
NOTHING = FirewallSettings(to_overlay=Forwarding.DENY)
OTHERS = """
table ip kube {
    counter seen { }
    set mine {
        type ipv4_addr
        elements = { 10.1.2.3 }
    }
    chain pre {
        type nat hook prerouting priority -100; policy accept;
        tcp dport 30080 counter name seen redirect to :8080
    }
}
"""


@pytest.fixture
def around(own_network: None) -> Iterator[Surroundings]:
    with surroundings() as made:
        yield made


@pytest.fixture
def others(own_network: None) -> str:
    """Have a table of others; return the whole rule set as it is without ours."""
    nft("-f", "-", given=OTHERS)
    return ruleset()


# -- once is enough ------------------------------------------------------------------------------


async def test_rules_that_fit_are_not_loaded_again(own_network: None) -> None:
    manager = await load(DENY)
    loads = manager.tally.changed
    await manager.use(DENY)
    await manager.follow({OVERLAY.network_id: OVERLAY})
    await manager.check()
    assert (manager.tally.changed, manager.tally.unchanged) == (loads, 1)


async def test_the_same_wishes_make_the_same_table(own_network: None) -> None:
    await load(WEB)
    before = ruleset()
    await load(WEB)
    assert ruleset() == before


async def test_a_restart_takes_over_what_was_kept(own_network: None) -> None:
    manager = await load(WEB)
    before = ruleset()
    await manager.close(keep=True)
    assert ruleset() == before
    await load(DENY)
    assert "dport 80" not in ruleset()


# -- drift ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "flush chain inet ztlink services",
        "flush chain inet ztlink input",
        "delete table inet ztlink",
        "flush ruleset",
        'insert rule inet ztlink to_host iifname "zttest0" accept',
        "flush set inet ztlink overlay",
        'add element inet ztlink overlay { "lo" }',
        "add table inet ztlink { flags dormant; }",
    ],
)
async def test_what_others_change_is_mended_and_counted(own_network: None, change: str) -> None:
    manager = await load(WEB)
    before = ruleset()
    nft(change)
    assert ruleset() != before
    await manager.check()
    assert ruleset() == before
    assert manager.tally.drift == 1


@contextlib.asynccontextmanager
async def following(manager: FirewallManager) -> AsyncIterator[list[None]]:
    """Have the kernel's news followed; what is there is one for each look at the table."""
    looks: list[None] = []

    async def check() -> None:
        looks.append(None)
        await manager.check()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(manager.run(check))
        await asyncio.sleep(0.3)  # until it listens
        yield looks
        running.cancel()


@pytest.mark.parametrize("what", ["delete table inet ztlink", "flush ruleset"])
async def test_a_table_that_others_take_away_is_back_at_once(own_network: None, what: str) -> None:
    manager = await load(DENY)
    before = ruleset()
    async with following(manager):
        nft(*what.split())
        await asyncio.to_thread(wait_for, lambda: ruleset() == before)
    assert manager.tally.drift == 1
    await manager.close(keep=False)


async def test_rules_of_others_are_no_reason_to_look(own_network: None) -> None:
    manager = await load(DENY)
    async with following(manager) as looks:
        nft("-f", "-", given=OTHERS)
        await asyncio.sleep(0.5)
        assert looks == []
    await manager.close(keep=False)


async def test_who_takes_the_table_away_again_and_again_keeps_nobody_busy(
    own_network: None,
) -> None:
    manager = await load(DENY)
    loop = asyncio.get_running_loop()
    async with following(manager):
        end = loop.time() + 6
        while loop.time() < end:
            await asyncio.to_thread(nft, "flush", "ruleset")
            await asyncio.sleep(0.05)
    assert 1 <= manager.tally.drift <= 12
    await manager.close(keep=False)


async def test_what_was_mended_is_no_drift_any_more(own_network: None) -> None:
    manager = await load(WEB)
    nft("flush ruleset")
    await manager.check()
    await manager.check()
    assert manager.tally.drift == 1


async def test_what_counters_say_is_no_drift(around: Surroundings) -> None:
    manager = await load(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)
    await manager.check()
    assert manager.tally.drift == 0


# -- counters ------------------------------------------------------------------------------------


async def test_what_is_refused_is_counted(around: Surroundings) -> None:
    manager = await load(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)
    await manager.check()
    assert dict(manager.tally.drops)["before_dnat"] >= 1


async def test_counts_outlive_the_rules(around: Surroundings) -> None:
    manager = await load(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)
    await manager.check()
    before = dict(manager.tally.drops)["before_dnat"]
    await manager.use(WEB)
    await manager.check()
    assert dict(manager.tally.drops)["before_dnat"] == before


async def test_counts_are_shown_to_people(around: Surroundings) -> None:
    manager = await load(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)
    await manager.check()
    assert next(row.packets for row in manager.rows() if row.name == "before_dnat")


# -- the tables of others ------------------------------------------------------------------------


async def test_a_table_of_others_is_left_alone(others: str) -> None:
    manager = await load(WEB)
    await manager.check()
    assert ruleset().startswith(others)


async def test_the_end_leaves_what_was_before(others: str) -> None:
    manager = await load(WEB)
    await manager.close(keep=False)
    assert ruleset() == others


async def test_a_firewall_that_is_switched_off_leaves_what_was_before(others: str) -> None:
    manager = await load(WEB)
    await manager.use(replace(WEB, is_enabled=False))
    assert ruleset() == others


async def test_no_wish_any_more_leaves_what_was_before(others: str) -> None:
    manager = await load(WEB)
    await manager.use(None)
    assert ruleset() == others


async def test_cleaning_up_leaves_what_was_before(others: str) -> None:
    await load(WEB)
    remove_all()
    assert ruleset() == others


async def test_cleaning_up_names_what_was_there(others: str) -> None:
    await load(WEB)
    await load(replace(WEB, table="ztlink-two"))
    nft("add table inet ztlinked")
    assert set(remove_all()) == {"ztlink", "ztlink-two"}
    assert "table inet ztlinked" in ruleset()


async def test_cleaning_up_twice_is_no_error(others: str) -> None:
    remove_all()
    assert remove_all() == ()
    assert ruleset() == others


async def test_cleaning_up_needs_no_nft_where_there_is_none() -> None:
    assert remove_all(nft=Nft("no-such-nft")) == ()


async def test_cleaning_up_one_agent_leaves_the_other_s_table(own_network: None) -> None:
    await load(WEB)
    before = ruleset()
    await load(replace(WEB, table="ztlink-two"))
    remove_all("ztlink-two")
    assert ruleset() == before


async def test_a_table_with_a_new_name_replaces_the_old_one(own_network: None) -> None:
    manager = await load(WEB)
    await manager.use(replace(WEB, table="ztlink-two"))
    assert nft("list", "tables") == "table inet ztlink-two\n"


class Watched(Nft):
    """Tells which tables there are after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[str]] = []

    def load(self, ruleset: str) -> None:
        """Load rules, and look."""
        super().load(ruleset)
        self.steps.append(self.tables())


async def test_a_new_name_leaves_no_moment_without_rules(own_network: None) -> None:
    watched = Watched()
    manager = FirewallManager(watched)
    await manager.use(DENY)
    await manager.follow({OVERLAY.network_id: OVERLAY})
    await manager.use(replace(DENY, table="ztlink-two"))
    assert watched.steps[-3:] == [["ztlink"], ["ztlink", "ztlink-two"], ["ztlink-two"]]
    assert manager.tally.drops[0] == ("before_dnat", 0)
    await manager.close(keep=False)
    assert ruleset() == ""


async def test_without_a_wish_nothing_is_done(own_network: None) -> None:
    manager = FirewallManager()
    await manager.use(None)
    await manager.follow({OVERLAY.network_id: OVERLAY})
    await manager.check()
    assert ruleset() == ""
    assert manager.conditions() == ()


# -- another agent on the machine ----------------------------------------------------------------


async def test_a_table_of_another_agent_is_not_taken(own_network: None) -> None:
    first, second = await load(WEB), FirewallManager()
    before = ruleset()
    await second.use(DENY)
    (told, *_) = second.conditions()
    assert (told.status, told.remedy) == (
        Status.FAULT,
        "set firewall.tableSuffix for one of them",
    )
    assert "the table ztlink is that of another agent" in told.cause
    with pytest.raises(HostError, match="another agent"):
        await second.guard(OVERLAY.network_id, "zttest9")
    for wishes in (replace(DENY, is_enabled=False), None, DENY):
        await second.use(wishes)
    await second.close(keep=False)
    assert ruleset() == before
    await first.close(keep=False)


async def test_a_table_is_taken_once_the_other_agent_has_ended(own_network: None) -> None:
    first, second = await load(WEB), FirewallManager()
    await second.use(DENY)
    assert not second.is_open
    await first.close(keep=True)
    await second.check()
    assert second.is_open
    await second.close(keep=False)
    assert ruleset() == ""


async def test_a_table_is_held_however_many_ask(own_network: None) -> None:
    claim = TableClaim()
    claim.take("ztlink")
    for _ in range(5):
        assert [holder_of("ztlink") for _ in range(100)] == [os.getpid()] * 100
        claim.let_others_ask()
    claim.give_back()
    assert holder_of("ztlink") is None


async def test_who_is_no_agent_cannot_keep_the_rules_out(own_network: None) -> None:
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind("\0ztlink/firewall/ztlink")
        _as_nobody(lambda: squatter.listen())
        manager = await load(DENY)
        assert manager.is_open
        await manager.close(keep=False)


def _as_nobody(work: Callable[[], None]) -> None:
    """Do something as another user; whose name is on a socket is said when it begins to listen."""
    os.seteuid(65534)
    try:
        work()
    finally:
        os.seteuid(0)


async def test_the_table_of_an_agent_that_runs_is_not_cleaned_up(own_network: None) -> None:
    manager = await load(DENY)
    with pytest.raises(HostError, match="an agent is running"):
        remove_all()
    await manager.close(keep=False)


# -- devices -------------------------------------------------------------------------------------


def conf_of(device: str) -> tuple[int | None, int | None]:
    return read_ipv4_conf(device, Ipv4Conf.FORWARDING), read_ipv4_conf(device, Ipv4Conf.RP_FILTER)


async def test_our_device_takes_answers_that_come_another_way(around: Surroundings) -> None:
    await load(DENY)
    assert read_ipv4_conf(DEVICE, Ipv4Conf.RP_FILTER) == LOOSE


async def test_our_device_forwards_where_that_is_wanted(around: Surroundings) -> None:
    sysctl(f"net.ipv4.conf.{DEVICE}.forwarding", 0)
    await load(THROUGH)
    assert conf_of(DEVICE) == (1, LOOSE)


async def test_our_device_forwards_nothing_where_nothing_may_pass(around: Surroundings) -> None:
    await load(NOTHING)
    assert conf_of(DEVICE) == (0, LOOSE)


async def test_forwarding_is_left_as_it_is_where_nobody_asks_for_it(around: Surroundings) -> None:
    sysctl(f"net.ipv4.conf.{DEVICE}.forwarding", 0)
    await load(DENY)
    assert conf_of(DEVICE) == (0, LOOSE)


async def test_other_devices_stay_as_they_are(around: Surroundings) -> None:
    before = conf_of("cni0")
    await load(NOTHING)
    assert conf_of("cni0") == before


async def test_settings_that_others_changed_are_set_again(around: Surroundings) -> None:
    manager = await load(THROUGH)
    sysctl(f"net.ipv4.conf.{DEVICE}.rp_filter", 1)
    await manager.check()
    assert conf_of(DEVICE) == (1, LOOSE)


async def test_a_device_that_is_made_anew_is_set_up(around: Surroundings) -> None:
    manager = await load(THROUGH)
    ip("link", "del", DEVICE)
    ip("link", "add", DEVICE, "type", "veth", "peer", "name", "zttest1")
    sysctl(f"net.ipv4.conf.{DEVICE}.forwarding", 0)
    await manager.check()
    assert conf_of(DEVICE) == (1, LOOSE)


async def test_a_device_is_guarded_before_it_is_told_of(around: Surroundings) -> None:
    manager = FirewallManager()
    await manager.use(DENY)
    await manager.guard(OVERLAY.network_id, DEVICE)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)


async def test_a_device_made_since_somebody_looked_stays_guarded(around: Surroundings) -> None:
    manager = await load(DENY, replace(OVERLAY, device="zttest5"))
    await manager.guard(OVERLAY.network_id, DEVICE)
    await manager.follow({OVERLAY.network_id: replace(OVERLAY, device="zttest5")})
    await manager.follow({})
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)


async def test_a_device_that_was_told_of_goes_with_its_network(around: Surroundings) -> None:
    manager = FirewallManager()
    await manager.use(DENY)
    await manager.guard(OVERLAY.network_id, DEVICE)
    await manager.follow({OVERLAY.network_id: OVERLAY})
    await manager.follow({})
    assert DEVICE not in ruleset()


async def test_a_device_that_is_guarded_anew_keeps_what_is_behind_it(own_network: None) -> None:
    masquerade = FirewallSettings(masquerade=Masquerade.OUTSIDE_DECLARED)
    manager = await load(masquerade, replace(OVERLAY, behind=CLUSTER))
    before = ruleset()
    await manager.guard(OVERLAY.network_id, DEVICE)
    assert ruleset() == before


async def test_a_device_that_cannot_be_guarded_is_refused(own_network: None) -> None:
    manager = FirewallManager(Nft("no-such-nft"))
    await manager.use(DENY)
    with pytest.raises(HostError, match="no program no-such-nft"):
        await manager.guard(OVERLAY.network_id, DEVICE)


async def test_a_firewall_that_is_off_refuses_no_device(own_network: None) -> None:
    manager = FirewallManager(Nft("no-such-nft"))
    await manager.guard(OVERLAY.network_id, DEVICE)
    assert manager.conditions() == ()


async def test_a_device_made_while_the_firewall_was_off_is_guarded_when_it_is_on(
    around: Surroundings,
) -> None:
    manager = FirewallManager()
    await manager.guard(OVERLAY.network_id, DEVICE)
    await manager.use(DENY)
    with listening(None, 80):
        assert not reaches(around.peer, NODE, 80)


# -- conditions ----------------------------------------------------------------------------------


async def test_rules_in_force_are_ok(own_network: None) -> None:
    manager = await load(WEB)
    assert [one.status for one in manager.conditions()] == [Status.OK]


async def test_a_device_whose_name_is_a_wildcard_is_refused(own_network: None) -> None:
    manager = FirewallManager()
    await manager.use(DENY)
    await manager.follow({OVERLAY.network_id: replace(OVERLAY, device="zt*")})
    (condition,) = manager.conditions()
    assert condition.status is Status.FAULT
    assert "interfaceName" in condition.remedy
