"""The network under a node: sockets and settings follow the machine and local.conf."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.host.machine import PATIENCE, ip, wire
from tests.vectors.loading import load
from ztlink import underlay as module
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import Store
from ztlink.drivers.udp import UdpDriver
from ztlink.errors import ConfigError
from ztlink.local_conf import LocalConf
from ztlink.node.core import Core
from ztlink.settings import Settings
from ztlink.underlay import Underlay
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.identity import SecretIdentity

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]


class Node:
    """A core on sockets of this namespace, without TAPs and without a way out of it."""

    def __init__(self, home: Path, conf: dict[str, object], settings: Settings) -> None:
        self.file = home / "local.conf"
        self.write(conf)
        self.own_devices: frozenset[str] = frozenset()
        self.seen = 0
        self.confs: list[LocalConf] = []
        store = Store(home)
        self.underlay = Underlay(settings, store)
        identity = SecretIdentity.from_text(load("identities-many.json")["identities"][0])
        self.address = identity.address
        core = Core(identity, DEFAULT_PLANET, random_bytes=random_bytes, now=read_clock())
        self.udp = UdpDriver()
        self.pump = Pump(core, self.udp, lambda event: None)

    async def open(self) -> None:
        await asyncio.to_thread(self.underlay.open, self.udp, self.address)
        self.pump.start()

    def write(self, conf: dict[str, object]) -> None:
        self.file.write_text(json.dumps(conf))

    async def told(self, conf: LocalConf) -> None:
        self.confs.append(conf)

    async def look(self) -> None:
        self.seen += 1

    async def bound(self) -> set[str]:
        asked = self.pump.submit(lambda core, now: {str(e) for e in core.sockets().values()})
        return await asyncio.wrap_future(asked)

    async def mtu(self, text: str) -> int:
        def ask(core: Core, now: object) -> int:
            return core._ctx.path_mtu(ip_address(text))[0]  # noqa: SLF001 - what paths are made of

        return await asyncio.wrap_future(self.pump.submit(ask))

    async def comes_true(self, condition: Callable[[set[str]], bool]) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while not condition(await self.bound()):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def stop(self) -> None:
        await asyncio.to_thread(self.pump.stop)
        self.udp.close_all()


Start = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    monkeypatch.setattr(module, "CONF_INTERVAL", 0.05)
    wire("eth0", "10.1.2.1/24")
    started: list[Node] = []
    async with asyncio.TaskGroup() as tasks:
        running: list[asyncio.Task[None]] = []

        async def begin(
            conf: dict[str, object] | None = None,
            port: int = 9993,
            *,
            is_port_given: bool = False,
            while_it_starts: Callable[[], None] = lambda: None,
        ) -> Node:
            settings = Settings(home=tmp_path, port=port, is_port_given=is_port_given)
            node = Node(tmp_path, conf or {"settings": {"allowSecondaryPort": False}}, settings)
            started.append(node)
            await node.open()
            while_it_starts()
            follow = node.underlay.follow_addresses
            follow_addresses = follow(node.pump, lambda: node.own_devices, node.look)
            running.append(tasks.create_task(follow_addresses))
            running.append(tasks.create_task(node.underlay.follow_conf(node.pump, node.told)))
            running.append(tasks.create_task(node.underlay.follow_online(node.pump)))
            return node

        yield begin
        for task in running:
            task.cancel()
    for node in started:
        await node.stop()


async def test_an_address_that_comes_is_used_at_once(start: Start) -> None:
    node = await start()
    ip("address", "add", "10.1.2.2/24", "dev", "eth0")
    assert await node.comes_true(lambda bound: "10.1.2.2/9993" in bound)


async def test_an_address_that_came_while_the_node_started_is_used(start: Start) -> None:
    node = await start(while_it_starts=lambda: ip("address", "add", "10.1.2.2/24", "dev", "eth0"))
    assert await node.comes_true(lambda bound: "10.1.2.2/9993" in bound)


async def test_an_address_that_goes_is_left_at_once(start: Start) -> None:
    node = await start()
    ip("address", "del", "10.1.2.1/24", "dev", "eth0")
    assert await node.comes_true(lambda bound: not bound)


async def test_a_device_that_comes_is_used_unless_its_name_is_excluded(start: Start) -> None:
    node = await start()
    for name, address in (("cali1", "10.3.0.1/24"), ("eth1", "10.4.0.1/24")):
        wire(name, address)
    assert await node.comes_true(lambda bound: "10.4.0.1/9993" in bound)
    assert "10.3.0.1/9993" not in await node.bound()


async def test_devices_of_our_own_networks_are_not_used_whatever_their_name(start: Start) -> None:
    node = await start()
    node.own_devices = frozenset({"office"})
    for name, address in (("office", "10.3.0.1/24"), ("eth1", "10.4.0.1/24")):
        wire(name, address)
    assert await node.comes_true(lambda bound: "10.4.0.1/9993" in bound)
    assert "10.3.0.1/9993" not in await node.bound()


async def test_the_port_of_local_conf_is_used(start: Start) -> None:
    node = await start({"settings": {"primaryPort": 9000, "secondaryPort": 9001}})
    assert await node.bound() == {"10.1.2.1/9000", "10.1.2.1/9001"}


async def test_a_port_that_was_named_for_this_run_goes_before_that_of_local_conf(
    start: Start,
) -> None:
    node = await start({"settings": {"primaryPort": 9000}}, 9500, is_port_given=True)
    assert node.underlay.bound.primary == 9500


async def test_addresses_and_devices_of_local_conf_are_excluded(start: Start) -> None:
    wire("wwan0", "10.5.0.1/24")
    ip("address", "add", "10.6.0.1/24", "dev", "eth0")
    node = await start(
        {
            "settings": {"interfacePrefixBlacklist": ["wwan"], "allowSecondaryPort": False},
            "physical": {"10.6.0.0/16": {"blacklist": True}},
        }
    )
    assert await node.bound() == {"10.1.2.1/9993"}


async def test_addresses_that_local_conf_names_are_used_alone(start: Start) -> None:
    node = await start({"settings": {"bind": ["127.0.0.1"], "allowSecondaryPort": False}})
    assert await node.bound() == {"127.0.0.1/9993"}


async def test_a_changed_local_conf_is_followed_while_running(start: Start) -> None:
    node = await start()
    node.write(
        {
            "settings": {"allowSecondaryPort": False, "interfacePrefixBlacklist": ["eth"]},
            "physical": {"10.9.0.0/16": {"mtu": 2800}},
        }
    )
    assert await node.comes_true(lambda bound: not bound)
    assert await node.mtu("10.9.1.1") == 2800


async def test_who_may_manage_is_told_at_the_start_and_when_it_changes(start: Start) -> None:
    settings = {"allowSecondaryPort": False, "allowManagementFrom": ["10.1.2.0/24"]}
    node = await start({"settings": settings})
    assert await node.comes_true(lambda bound: len(node.confs) == 1)
    node.write({"settings": settings | {"allowManagementFrom": []}})
    assert await node.comes_true(lambda bound: len(node.confs) == 2)
    found = [conf.management for conf in node.confs]
    assert found == [(ip_network("10.1.2.0/24"),), ()]


async def test_a_local_conf_that_became_nonsense_changes_nothing(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start()
    node.file.write_text('{"settings": {"bind": 7}}')
    assert await node.comes_true(lambda bound: "settings.bind is 7" in caplog.text)
    assert await node.bound() == {"10.1.2.1/9993"}
    assert node.file.read_text() == '{"settings": {"bind": 7}}'


async def test_a_node_that_is_offline_for_long_tries_another_secondary_port(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OFFLINE_PATIENCE", 0.05)
    node = await start({"settings": {}})
    before = await node.bound()
    assert await node.comes_true(lambda bound: len(bound - before) == 1 and len(bound) == 2)


async def test_who_else_looks_at_the_machine_is_told_of_changes(start: Start) -> None:
    node = await start()
    assert await node.comes_true(lambda bound: node.seen == 1)  # at the beginning
    ip("address", "add", "10.1.2.2/24", "dev", "eth0")
    assert await node.comes_true(lambda bound: node.seen > 1)


async def test_nonsense_in_local_conf_stops_the_start(start: Start) -> None:
    with pytest.raises(ConfigError, match=r"settings\.primaryPort"):
        await start({"settings": {"primaryPort": "many"}})
