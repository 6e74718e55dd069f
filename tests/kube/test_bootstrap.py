"""What is made in a cluster: once, whatever else goes on there."""

import base64
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from tests.kube.conftest import Cluster
from tests.kube.stand_in import Json, StandIn
from tests.lab.planet import known_identity
from ztlink.clock import Now
from ztlink.crypto.identity import verify
from ztlink.crypto.work import validate
from ztlink.drivers.chance import random_bytes
from ztlink.errors import ConfigError
from ztlink.ids import Endpoint
from ztlink.kube import bootstrap as module
from ztlink.kube.bootstrap import ATTEMPTS, Bootstrap, Outcome
from ztlink.kube.client import ConflictError, KubeClient, KubeError
from ztlink.settings import BootstrapSettings
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.world import World

HERE = Endpoint(ip_address("192.0.2.5"), 9993)
THERE = Endpoint(ip_address("192.0.2.6"), 9993)
LABELS = {"app.kubernetes.io/instance": "mesh"}
SECRET, WORLD, NETWORK = ("secrets", "root"), ("configmaps", "world"), ("configmaps", "network")


def settings(*endpoints: Endpoint) -> BootstrapSettings:
    return BootstrapSettings("mesh", "root", "world", "network", endpoints or (HERE,), LABELS)


@pytest.fixture(autouse=True)
def ready_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend no time on proofs of work: every new identity is one of the thousand ready ones."""
    numbers = iter(range(1000))

    def generate(_: Callable[[int], bytes]) -> SecretIdentity:
        return known_identity(next(numbers))

    monkeypatch.setattr(module, "generate", generate)


async def run(cluster: Cluster, *endpoints: Endpoint, unix_ms: int = 1_000) -> Outcome:
    async with KubeClient(cluster.access, lambda: 0.0, bytes, first_pause=0.001) as api:
        work = Bootstrap(api, settings(*endpoints), random_bytes, lambda: Now(0.0, unix_ms))
        return await work.run()


def stored_world(api: StandIn) -> World:
    return World.decode(Reader(api.read(*WORLD, "planet")))


def stored_identity(api: StandIn, key: str = "identity.secret") -> SecretIdentity:
    return SecretIdentity.from_text(api.read(*SECRET, key).decode())


async def test_all_that_is_missing_is_made(cluster: Cluster) -> None:
    outcome = await run(cluster)
    assert set(cluster.api.objects) == {SECRET, WORLD, NETWORK}
    assert len(outcome.changes) == 3


async def test_the_secret_has_an_identity_its_public_half_and_another_key_for_worlds(
    cluster: Cluster,
) -> None:
    await run(cluster)
    identity = stored_identity(cluster.api)
    assert validate(identity.public)
    assert cluster.api.read(*SECRET, "identity.public").decode() == str(identity.public)
    assert stored_identity(cluster.api, "world.secret").public != identity.public


async def test_the_world_names_the_root_at_its_endpoints(cluster: Cluster) -> None:
    await run(cluster, HERE, THERE)
    root = stored_world(cluster.api).roots[0]
    assert root.identity == stored_identity(cluster.api).public
    assert root.stable_endpoints == (HERE, THERE)


async def test_the_world_is_signed_with_the_key_that_signs_its_next_revision(
    cluster: Cluster,
) -> None:
    await run(cluster)
    world = stored_world(cluster.api)
    assert world.next_update_key == stored_identity(cluster.api, "world.secret").public.public_key
    assert verify(world.next_update_key, world.signing_input(), world.signature)


async def test_the_network_belongs_to_the_controller(cluster: Cluster) -> None:
    await run(cluster)
    network_id = cluster.api.read(*NETWORK, "networkId").decode()
    assert network_id.startswith(f"{stored_identity(cluster.api).address:010x}")
    assert len(network_id) == 16


async def test_objects_outlive_the_release(cluster: Cluster) -> None:
    await run(cluster)
    for made in cluster.api.objects.values():
        assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert made["metadata"]["labels"] == LABELS


async def test_a_second_run_changes_nothing(cluster: Cluster) -> None:
    first = await run(cluster)
    cluster.api.log.clear()
    second = await run(cluster, unix_ms=2_000)
    assert cluster.api.writes == []
    assert second == Outcome(first.address, first.world, first.network_id, ())


async def test_other_endpoints_make_a_newer_world_of_the_same_id_and_key(cluster: Cluster) -> None:
    old = (await run(cluster)).world
    new = (await run(cluster, THERE, unix_ms=2_000)).world
    assert new.roots[0].stable_endpoints == (THERE,)
    assert (new.world_id, new.timestamp > old.timestamp) == (old.world_id, True)
    assert verify(old.next_update_key, new.signing_input(), new.signature)


async def test_a_newer_world_is_newer_also_when_the_clock_was_set_back(cluster: Cluster) -> None:
    old = (await run(cluster, unix_ms=5_000)).world
    new = (await run(cluster, THERE, unix_ms=1_000)).world
    assert new.timestamp == old.timestamp + 1


async def test_what_stands_beside_a_planet_in_its_configmap_stays(cluster: Cluster) -> None:
    await run(cluster)
    binary = cluster.api.objects[WORLD]["binaryData"]
    cluster.api.put(*WORLD, binaryData={**binary, "moon": "AAAA"})
    await run(cluster, THERE)
    assert cluster.api.objects[WORLD]["binaryData"]["moon"] == "AAAA"


async def test_an_identity_that_is_there_is_kept(cluster: Cluster) -> None:
    text = known_identity(500).to_text()
    cluster.api.put(*SECRET, type="Opaque", data={"identity.secret": _encode(text)})
    outcome = await run(cluster)
    assert outcome.address == f"{known_identity(500).address:010x}"
    assert cluster.api.read(*SECRET, "identity.secret").decode() == text


async def test_a_run_that_was_cut_short_is_taken_up_by_the_next(cluster: Cluster) -> None:
    cluster.api.forbidden.add(("create", "configmaps"))
    with pytest.raises(KubeError, match="configmaps"):
        await run(cluster)
    identity = stored_identity(cluster.api)
    cluster.api.forbidden.clear()
    assert (await run(cluster)).address == f"{identity.address:010x}"


@pytest.mark.parametrize("target", [SECRET, WORLD, NETWORK])
async def test_whoever_is_second_takes_what_the_first_has_made(
    cluster: Cluster, target: tuple[str, str]
) -> None:
    """Another run of the hook makes an object between our look and our writing."""
    first = await run(cluster)
    theirs = cluster.api.objects.pop(target)

    def interfere(verb: str, name: str) -> None:
        if verb == "create" and name == target[1]:
            cluster.api.objects[target] = theirs

    cluster.api.before = interfere
    second = await run(cluster, unix_ms=9_000)
    assert (second.address, second.world, second.network_id) == (
        first.address,
        first.world,
        first.network_id,
    )


async def test_a_change_between_look_and_writing_is_looked_at_anew(cluster: Cluster) -> None:
    await run(cluster)
    binary = cluster.api.objects[WORLD]["binaryData"]
    interruptions = iter(("moon",))

    def interfere(verb: str, _: str) -> None:
        if verb == "update" and (key := next(interruptions, None)):
            cluster.api.put(*WORLD, binaryData={**binary, key: "AAAA"})

    cluster.api.before = interfere
    await run(cluster, THERE)
    assert "moon" in cluster.api.objects[WORLD]["binaryData"]
    assert stored_world(cluster.api).roots[0].stable_endpoints == (THERE,)


async def test_an_object_that_never_rests_is_given_up(cluster: Cluster) -> None:
    await run(cluster)

    def interfere(verb: str, _: str) -> None:
        if verb == "update":
            cluster.api.put(*WORLD)

    cluster.api.before = interfere
    with pytest.raises(ConflictError, match=f"{ATTEMPTS} times in a row"):
        await run(cluster, THERE)


@pytest.mark.parametrize(
    ("target", "content", "message"),
    [
        (SECRET, {"data": {"identity.secret": "QUJD"}}, "identity.secret in Secret root is not an"),
        (WORLD, {"binaryData": {"planet": "QUJD"}}, "planet in ConfigMap world is not a world"),
        (NETWORK, {"data": {"networkId": "12"}}, "networkId in ConfigMap network.*'12'"),
        (NETWORK, {"data": {"networkId": "8056c2e21c000001"}}, "a network of another controller"),
    ],
)
async def test_what_cannot_be_used_is_named_and_left_as_it_is(
    cluster: Cluster, target: tuple[str, str], content: Json, message: str
) -> None:
    cluster.api.put(*target, **content)
    before = dict(cluster.api.objects[target])
    with pytest.raises(ConfigError, match=message):
        await run(cluster)
    assert cluster.api.objects[target] == before


async def test_a_world_of_another_key_is_left_as_it_is(cluster: Cluster) -> None:
    await run(cluster)
    del cluster.api.objects[SECRET]
    before = cluster.api.objects[WORLD]
    with pytest.raises(ConfigError, match="signed with another key"):
        await run(cluster)
    assert cluster.api.objects[WORLD] == before


async def test_the_public_half_is_added_to_a_secret_that_lacks_it(cluster: Cluster) -> None:
    await run(cluster)
    data = cluster.api.objects[SECRET]["data"]
    cluster.api.put(
        *SECRET, data={key: text for key, text in data.items() if key != "identity.public"}
    )
    await run(cluster)
    public = cluster.api.read(*SECRET, "identity.public").decode()
    assert Identity.from_text(public) == stored_identity(cluster.api).public


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
