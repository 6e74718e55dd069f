"""Agents that are to take everything away: a cluster's API and agents' health by stand-ins."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest
from aiohttp import web

from tests.kube.conftest import Cluster
from ztlink.errors import ConfigError
from ztlink.kube import retire as module
from ztlink.kube.client import KubeClient, KubeError
from ztlink.kube.healths import HealthClient
from ztlink.kube.retire import TOUCHED, Outcome, Retirement, taking_away
from ztlink.settings import RetireSettings

FILE = 'port: 9993\nonStop: keep\nnetworks:\n  - {"id":"0123456701234567"}\n'
REMOVING = FILE.replace("onStop: keep", "onStop: remove")
LABELS = {"app.kubernetes.io/instance": "mesh", "app.kubernetes.io/component": "agent"}
CONFIG, WANTED = ("configmaps", "mesh"), ("daemonsets", "mesh")


@dataclass
class Release:
    """A release with an agent on each of two nodes, which follow it once their pod is touched."""

    cluster: Cluster
    port: int = 0
    deaf: set[str] = field(default_factory=set)
    """Nodes whose agents follow nothing."""
    answers: dict[str, bytes] = field(default_factory=dict)
    """What is answered on a node's address in place of health."""

    def settle(self, nodes: int) -> None:
        """Put its objects in the cluster."""
        api = self.cluster.api
        api.put(*CONFIG, data={"config.yaml": FILE, "other": "kept"})
        api.put(*WANTED, status={"desiredNumberScheduled": nodes})
        for number in range(1, nodes + 1):
            self.put_pod(f"node-{number}", f"127.0.9.{number}")

    def put_pod(self, node: str, ip: str, phase: str = "Running") -> None:
        status = {"phase": phase, "hostIP": ip}
        spec = {"nodeName": node}
        self.cluster.api.put("pods", f"mesh-{node}", {"labels": LABELS}, spec=spec, status=status)

    def on_stop(self, node: str) -> str:
        """Return what an agent has read: its kubelet looks when its pod's annotations change."""
        pod = self.cluster.api.objects["pods", f"mesh-{node}"]
        is_touched = TOUCHED in pod["metadata"].get("annotations", {})
        text = self.cluster.api.objects[CONFIG]["data"]["config.yaml"]
        follows = is_touched and node not in self.deaf
        return "remove" if follows and "onStop: remove" in text else "keep"

    async def answer(self, request: web.Request) -> web.Response:
        node = f"node-{str(request.host).partition(':')[0].rpartition('.')[2]}"
        if node in self.answers:
            return web.Response(body=self.answers[node])
        return web.json_response({"status": "ok", "onStop": self.on_stop(node)})

    @property
    def settings(self) -> RetireSettings:
        return RetireSettings("mesh", "mesh", "mesh", LABELS, self.port)

    async def retire(
        self, settings: RetireSettings | None = None, read_time: Callable[[], float] = lambda: 0.0
    ) -> Outcome:
        """Run the command on it."""
        settings = settings or self.settings
        async with (
            KubeClient(self.cluster.access, lambda: 0.0, bytes, first_pause=0.001) as api,
            HealthClient(self.port) as healths,
        ):
            return await Retirement(api, healths, settings, read_time).run()


@pytest.fixture
async def release(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Release]:
    monkeypatch.setattr(module, "LOOK_INTERVAL", 0.001)
    made = Release(cluster)
    application = web.Application()
    application.add_routes([web.get("/zerotier/health", made.answer)])
    runner = web.AppRunner(application, access_log=None)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        for number in (1, 2):
            await web.TCPSite(runner, f"127.0.9.{number}", made.port).start()
            made.port = int(runner.addresses[0][1])
        made.settle(nodes=2)
        yield made


def nodes(outcome: Outcome) -> tuple[list[str], list[str]]:
    """Return who follows, and who does not."""
    return [one.node for one in outcome.following], [one.node for one in outcome.others]


def ends_soon() -> Callable[[], float]:
    """Return a clock that goes on by a second at each look."""
    clock = itertools.count()
    return lambda: float(next(clock))


async def test_all_agents_follow(release: Release) -> None:
    outcome = await release.retire()
    assert nodes(outcome) == (["node-1", "node-2"], [])
    assert outcome.is_complete


async def test_the_file_changes_in_one_line_and_nothing_beside_it(release: Release) -> None:
    await release.retire()
    assert release.cluster.api.objects[CONFIG]["data"] == {"config.yaml": REMOVING, "other": "kept"}


async def test_the_file_changes_before_pods_are_touched(release: Release) -> None:
    await release.retire()
    assert release.cluster.api.writes == [
        "patch configmaps/mesh",
        "patch pods/status/mesh-node-1",
        "patch pods/status/mesh-node-2",
    ]


async def test_what_pods_run_is_left_alone(release: Release) -> None:
    before = {key: one["spec"] for key, one in release.cluster.api.objects.items() if "spec" in one}
    await release.retire()
    after = {key: one["spec"] for key, one in release.cluster.api.objects.items() if "spec" in one}
    assert before == after


async def test_agents_that_follow_already_are_not_touched(release: Release) -> None:
    await release.retire()
    release.cluster.api.log.clear()
    assert (await release.retire()).is_complete
    assert release.cluster.api.writes == []


async def test_pods_of_others_are_neither_touched_nor_asked(release: Release) -> None:
    theirs = release.cluster.api.put("pods", "theirs", {"labels": {"app": "page"}}, spec={})
    assert nodes(await release.retire()) == (["node-1", "node-2"], [])
    assert release.cluster.api.objects["pods", "theirs"] == theirs


async def test_an_agent_that_does_not_follow_is_named_when_patience_ends(release: Release) -> None:
    release.deaf.add("node-2")
    outcome = await release.retire(read_time=ends_soon())
    assert nodes(outcome) == (["node-1"], ["node-2"])
    assert outcome.others[0].complaint == "it says onStop: keep"


async def test_a_pod_is_touched_again_where_its_kubelet_was_too_early(release: Release) -> None:
    release.deaf.add("node-2")
    await release.retire(replace(release.settings, patience=30.0), ends_soon())
    touches = release.cluster.api.writes.count("patch pods/status/mesh-node-2")
    assert 1 < touches <= 4


async def test_a_node_that_does_not_answer_is_named_with_what_was_asked(release: Release) -> None:
    release.put_pod("node-2", "127.0.9.77")
    outcome = await release.retire(read_time=ends_soon())
    assert nodes(outcome) == (["node-1"], ["node-2"])
    assert f"http://127.0.9.77:{release.port}/zerotier/health" in outcome.others[0].complaint


@pytest.mark.parametrize("answer", [b"", b"[]", b"\xff", b'"keep"', b"[" * 100_000])
async def test_an_answer_that_is_no_agents_is_one_that_does_not_follow(
    release: Release, answer: bytes
) -> None:
    release.answers["node-2"] = answer
    outcome = await release.retire(read_time=ends_soon())
    assert "the answer is not an agent's" in outcome.others[0].complaint


async def test_an_agent_that_is_too_old_to_tell_is_named(release: Release) -> None:
    release.answers["node-2"] = b'{"status": "ok"}'
    outcome = await release.retire(read_time=ends_soon())
    assert outcome.others[0].complaint == "it says onStop: nothing"


async def test_a_pod_that_does_not_run_is_named_with_its_phase(release: Release) -> None:
    release.put_pod("node-2", "", phase="Pending")
    outcome = await release.retire(read_time=ends_soon())
    assert outcome.others[0].complaint == "its pod is Pending"


async def test_a_node_without_a_pod_is_counted(release: Release) -> None:
    del release.cluster.api.objects["pods", "mesh-node-2"]
    outcome = await release.retire(read_time=ends_soon())
    assert (nodes(outcome), outcome.missing) == ((["node-1"], []), 1)
    assert not outcome.is_complete


async def test_a_pod_that_is_being_replaced_is_waited_for(release: Release) -> None:
    pod = release.cluster.api.objects.pop(("pods", "mesh-node-2"))

    def come_back(verb: str, name: str) -> None:
        if verb == "patch" and name == "mesh-node-1":
            release.cluster.api.objects["pods", "mesh-node-2"] = pod

    release.cluster.api.before = come_back
    assert nodes(await release.retire()) == (["node-1", "node-2"], [])


async def test_without_health_agents_are_told_and_given_all_the_time(release: Release) -> None:
    outcome = await release.retire(replace(release.settings, health_port=None), ends_soon())
    assert nodes(outcome) == ([], ["node-1", "node-2"])
    assert "cannot be asked" in outcome.others[0].complaint
    assert release.on_stop("node-1") == "remove"


async def test_health_at_an_address_of_its_own_is_asked_there(release: Release) -> None:
    release.put_pod("node-2", "127.0.9.77")
    outcome = await release.retire(replace(release.settings, health_ip=ip_address("127.0.9.1")))
    assert outcome.is_complete


async def test_pods_that_may_not_be_touched_are_waited_for_all_the_same(
    release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    release.cluster.api.forbidden.add(("patch", "pods/status"))
    assert not (await release.retire(read_time=ends_soon())).is_complete
    assert 'cannot patch resource "pods/status"' in caplog.text


async def test_a_role_that_is_missing_is_an_error(release: Release) -> None:
    release.cluster.api.forbidden.add(("patch", "configmaps"))
    with pytest.raises(KubeError, match='cannot patch resource "configmaps"'):
        await release.retire()


async def test_a_file_that_is_not_there_is_an_error_with_the_remedy(release: Release) -> None:
    del release.cluster.api.objects[CONFIG]
    with pytest.raises(ConfigError, match="`ztlink cleanup`"):
        await release.retire()


async def test_a_hundred_agents_are_asked_page_by_page(release: Release) -> None:
    release.cluster.api.largest_page = 30
    for number in range(100):
        release.put_pod(f"other-{number}", "127.0.9.77", phase="Pending")
    outcome = await release.retire(replace(release.settings, patience=1.0), ends_soon())
    assert len(outcome.agents) == 102


async def test_an_endless_answer_is_not_read_to_its_end(release: Release) -> None:
    release.answers["node-2"] = b" " * (3 << 20)
    outcome = await release.retire(read_time=ends_soon())
    assert "the answer is not an agent's" in outcome.others[0].complaint


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("onStop: keep\n", "onStop: remove\n"),
        ("port: 1\n", "port: 1\nonStop: remove\n"),
        ("log:\n  onStop: keep\n", "log:\n  onStop: keep\nonStop: remove\n"),
        ("onStop: remove\n", "onStop: remove\n"),
    ],
)
def test_the_key_is_changed_where_it_is_and_added_where_it_is_not(before: str, after: str) -> None:
    assert taking_away(before) == after
