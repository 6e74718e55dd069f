"""The home directory: nothing is lost, nothing is open to others."""

import dataclasses
import os
import stat
from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address
from pathlib import Path

import pytest

from tests.unit.vl1.mesh import planet
from tests.vectors.loading import load
from ztlink.drivers import store as store_module
from ztlink.drivers.home import LOCK
from ztlink.drivers.store import PLACEHOLDER, Store
from ztlink.errors import ConfigError
from ztlink.ids import Address, Endpoint, NetworkId
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import WorldType

TEXTS: list[str] = load("identities-many.json")["identities"]
TEXT, OTHER = TEXTS[0], TEXTS[1]
NETWORK = NetworkId(0x8056C2E21C000001)
CONFIG = NetworkConfig(
    network_id=NETWORK,
    timestamp=1_700_000_000_000,
    issued_to=Address(0xBA52BB0E23),
    name=b"lab",
    addresses=(IPv4Interface("10.1.2.3/24"),),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "home")
    opened.open()
    yield opened
    opened.close()


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def put_secret(store: Store, content: bytes) -> Path:
    file = store.home / "identity.secret"
    file.write_bytes(content)
    return file


# -- writing ---------------------------------------------------------------------------------


def test_what_was_written_is_read(store: Store) -> None:
    store.write("file", b"content")
    assert store.read("file") == b"content"


def test_a_file_that_is_not_there_reads_as_none(store: Store) -> None:
    assert store.read("file") is None


def test_what_cannot_be_read_is_named(store: Store) -> None:
    (store.home / "file").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*/file: Is a directory"):
        store.read("file")


def test_a_file_is_for_its_owner_alone(store: Store) -> None:
    store.write("file", b"content")
    assert mode(store.home / "file") == 0o600


def test_a_file_may_be_for_all_to_read(store: Store) -> None:
    store.write("file", b"content", 0o644)
    assert mode(store.home / "file") == 0o644


def test_a_file_can_be_removed(store: Store) -> None:
    store.write("file", b"content")
    store.write("file", None)
    assert store.read("file") is None


def test_removing_what_is_not_there_is_no_error(store: Store) -> None:
    store.write("folder/file", None)
    assert store.read("folder/file") is None


def test_a_folder_is_made_for_its_file(store: Store) -> None:
    store.write("folder/file", b"content")
    assert mode(store.home / "folder") == 0o700


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_failing_write_leaves_the_old_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.write("file", b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ConfigError, match=r"cannot write .*: No space left on device"):
        store.write("file", b"new")
    assert store.read("file") == b"old"


def test_a_failing_write_leaves_nothing_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError):
        store.write("folder/file", b"new")
    assert list((store.home / "folder").iterdir()) == []


def test_a_file_is_never_seen_half_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("file", b"old")
    seen: list[bytes | None] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(store.read("file")))
    store.write("file", b"new")
    assert seen == [b"old", b"new"]  # before and after the renaming


# -- the lock --------------------------------------------------------------------------------


def test_a_home_is_made_for_its_owner_alone(store: Store) -> None:
    assert mode(store.home) == 0o700


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use the home .*/file/home: Not a directory"):
        Store(tmp_path / "file" / "home").open()


def test_a_home_in_use_names_the_process(store: Store) -> None:
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}:"):
        Store(store.home).open()


def test_whoever_does_not_get_the_home_leaves_its_lock_alone(store: Store) -> None:
    with pytest.raises(ConfigError):
        Store(store.home).open()
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}:"):
        Store(store.home).open()


def test_a_home_that_was_closed_can_be_opened(store: Store) -> None:
    store.close()
    other = Store(store.home)
    other.open()
    holder = (store.home / LOCK).read_text()
    other.close()
    assert holder == str(os.getpid())


def test_a_lock_of_a_process_that_ended_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "ztlink.lock").write_text("4194304999")
    store = Store(tmp_path)
    store.open()
    store.close()
    assert (tmp_path / "ztlink.lock").read_text() == str(os.getpid())


# -- the identity ----------------------------------------------------------------------------


def test_without_a_secret_there_is_no_identity(store: Store) -> None:
    assert store.load_identity() is None


def test_an_identity_is_the_same_after_a_restart(store: Store) -> None:
    secret = SecretIdentity.from_text(TEXT)
    store.save_identity(secret)
    assert store.load_identity() == secret


def test_a_new_secret_is_for_its_owner_alone(store: Store) -> None:
    store.save_identity(SecretIdentity.from_text(TEXT))
    assert mode(store.home / "identity.secret") == 0o600


def test_the_public_identity_is_for_all_to_read(store: Store) -> None:
    store.save_identity(SecretIdentity.from_text(TEXT))
    assert mode(store.home / "identity.public") == 0o644


def test_a_secret_that_ends_with_a_line_feed_is_read(store: Store) -> None:
    put_secret(store, TEXT.encode() + b"\n")
    assert store.load_identity() == SecretIdentity.from_text(TEXT)


@pytest.mark.parametrize("public", [None, OTHER.rpartition(":")[0], "", "foreign text"])
def test_the_public_identity_is_made_from_the_secret(store: Store, public: str | None) -> None:
    put_secret(store, TEXT.encode())
    if public is not None:
        (store.home / "identity.public").write_text(public)
    store.load_identity()
    assert (store.home / "identity.public").read_text() == TEXT.rpartition(":")[0]


def test_a_public_identity_that_fits_is_not_written(store: Store) -> None:
    store.save_identity(SecretIdentity.from_text(TEXT))
    file = store.home / "identity.public"
    before = file.stat().st_ino
    store.load_identity()
    assert file.stat().st_ino == before


# -- an identity that is kept elsewhere ------------------------------------------------------


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A secret identity outside of the home, as a mounted Secret is."""
    file = tmp_path / "mounted" / "identity.secret"
    file.parent.mkdir()
    file.write_text(f"{TEXT}\n")
    return file


def test_an_identity_that_is_kept_elsewhere_is_used(store: Store, given: Path) -> None:
    assert store.adopt_identity(given) == SecretIdentity.from_text(TEXT)


def test_its_private_keys_stay_where_they_are(store: Store, given: Path) -> None:
    store.adopt_identity(given)
    assert not (store.home / "identity.secret").exists()
    assert (store.home / "identity.public").read_text() == TEXT.rpartition(":")[0]


def test_it_may_be_the_home_s_own(store: Store, given: Path) -> None:
    put_secret(store, TEXT.encode())
    assert store.adopt_identity(given) == SecretIdentity.from_text(TEXT)


def test_it_never_displaces_the_home_s_own(store: Store, given: Path) -> None:
    put_secret(store, OTHER.encode())
    with pytest.raises(ConfigError, match="is another identity than"):
        store.adopt_identity(given)
    assert (store.home / "identity.secret").read_text() == OTHER


def test_one_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"identity\.secret: No such file"):
        store.adopt_identity(tmp_path / "identity.secret")


FIELDS, OTHERS = TEXT.split(":"), OTHER.split(":")
FLIPPED = "1" if FIELDS[2][0] == "0" else "0"
BAD_SECRETS = {
    "empty": b"",
    "half-written": TEXT[:200].encode(),
    "without its private key": TEXT.rpartition(":")[0].encode(),
    "foreign text": b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "no text": b"\xff\xfe\x00",
    "all zero": bytes(269),
    "an address that is not of its keys": ":".join((OTHERS[0], *FIELDS[1:])).encode(),
    "a private key of another": ":".join((*FIELDS[:3], OTHERS[3])).encode(),
    "a public key with an error": ":".join(
        (*FIELDS[:2], FLIPPED + FIELDS[2][1:], FIELDS[3])
    ).encode(),
}


@pytest.mark.parametrize("content", BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_secret_that_is_not_good_is_an_error(store: Store, content: bytes) -> None:
    put_secret(store, content)
    with pytest.raises(ConfigError, match=r"identity\.secret .* was left as it is"):
        store.load_identity()


@pytest.mark.parametrize("content", BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_secret_that_is_not_good_is_left_as_it_is(store: Store, content: bytes) -> None:
    file = put_secret(store, content)
    with pytest.raises(ConfigError):
        store.load_identity()
    assert file.read_bytes() == content


def test_a_secret_that_is_not_good_makes_no_public_identity(store: Store) -> None:
    put_secret(store, TEXT[:200].encode())
    with pytest.raises(ConfigError):
        store.load_identity()
    assert not (store.home / "identity.public").exists()


def test_an_error_does_not_show_the_private_key(store: Store) -> None:
    put_secret(store, BAD_SECRETS["a private key of another"])
    with pytest.raises(ConfigError) as caught:
        store.load_identity()
    assert OTHERS[3] not in str(caught.value)


# -- the token -------------------------------------------------------------------------------


def test_a_token_has_24_letters_and_digits(store: Store) -> None:
    token = store.auth_token(os.urandom)  # noqa: TID251 - chance is what is wanted here
    assert len(token) == 24
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyz0123456789")


def test_a_token_is_made_once(store: Store) -> None:
    first = store.auth_token(lambda size: bytes(size))
    assert store.auth_token(lambda size: b"\1" * size) == first


def test_a_token_is_for_its_owner_alone(store: Store) -> None:
    store.auth_token(lambda size: bytes(size))
    assert mode(store.home / "authtoken.secret") == 0o600


def test_bytes_that_would_favour_some_letters_are_passed_over(store: Store) -> None:
    assert store.auth_token(lambda size: bytes([255, 252, 251]) + bytes(61)) == "9" + "a" * 23


def test_a_token_of_the_operator_is_kept(store: Store) -> None:
    (store.home / "authtoken.secret").write_text("Mine\n")
    assert store.auth_token(lambda size: bytes(size)) == "Mine"


def test_an_empty_token_is_replaced(store: Store) -> None:
    (store.home / "authtoken.secret").write_text("\n")
    assert store.auth_token(lambda size: bytes(size)) == "a" * 24


# -- networks --------------------------------------------------------------------------------


def test_without_networks_none_is_joined(store: Store) -> None:
    assert store.load_networks() == {}


def test_a_configuration_is_the_same_after_a_restart(store: Store) -> None:
    store.write("networks.d/8056c2e21c000001.conf", CONFIG.encode())
    assert store.load_networks() == {NETWORK: CONFIG}


def test_a_network_is_joined_before_it_has_a_configuration(store: Store) -> None:
    store.write("networks.d/8056c2e21c000001.conf", PLACEHOLDER)
    assert store.load_networks() == {NETWORK: None}


def test_one_network_is_read_without_the_others(store: Store) -> None:
    store.write("networks.d/8056c2e21c000001.conf", CONFIG.encode())
    assert (store.load_network(NETWORK), store.load_network(NetworkId(7))) == (CONFIG, None)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100, CONFIG.encode()[:40]])
def test_a_configuration_that_cannot_be_read_is_asked_for_again(
    store: Store, content: bytes
) -> None:
    store.write("networks.d/8056c2e21c000001.conf", PLACEHOLDER)
    (store.home / "networks.d/8056c2e21c000001.conf").write_bytes(content)
    assert store.load_networks() == {NETWORK: None}


@pytest.mark.parametrize(
    "name", ["8056c2e21c000001.local.conf", "8056c2e21c000001", "readme.conf", "8056c2e2.conf"]
)
def test_other_files_are_no_networks(store: Store, name: str) -> None:
    store.write(f"networks.d/{name}", b"x")
    assert store.load_networks() == {}


# -- worlds ----------------------------------------------------------------------------------


def test_without_a_planet_file_there_is_none(store: Store) -> None:
    assert store.load_planet() is None


def test_a_planet_is_read(store: Store) -> None:
    store.write("planet", planet(0).to_bytes())
    assert store.load_planet() == planet(0)


def test_a_planet_that_is_no_world_is_named(store: Store) -> None:
    store.write("planet", b"foreign")
    with pytest.raises(ConfigError, match="/planet is not a world file"):
        store.load_planet()


def test_a_planet_that_was_cut_short_is_named(store: Store) -> None:
    store.write("planet", planet(0).to_bytes()[:-1])
    with pytest.raises(ConfigError, match="/planet is not a world file"):
        store.load_planet()


MOON = dataclasses.replace(planet(0), world_type=WorldType.MOON)


def test_a_moon_is_no_planet(store: Store) -> None:
    store.write("planet", MOON.to_bytes())
    with pytest.raises(ConfigError, match="/planet is no planet"):
        store.load_planet()


def test_without_moons_there_are_none(store: Store) -> None:
    assert store.load_moons() == []


def test_moons_are_read(store: Store) -> None:
    store.write("moons.d/000000ba52bb0e23.moon", MOON.to_bytes())
    assert store.load_moons() == [MOON]


def test_one_moon_is_read_by_its_id(store: Store) -> None:
    store.write(f"moons.d/{MOON.world_id:016x}.moon", MOON.to_bytes())
    assert store.load_moon(MOON.world_id) == MOON


def test_a_moon_without_a_file_is_none(store: Store) -> None:
    assert store.load_moon(0xBA52BB0E23) is None


def test_a_moon_by_the_name_of_another_is_named(store: Store) -> None:
    store.write("moons.d/0000001122334455.moon", MOON.to_bytes())
    with pytest.raises(ConfigError, match=f"is the moon {MOON.world_id:016x}: rename it"):
        store.load_moon(0x1122334455)


def test_a_planet_is_no_moon(store: Store) -> None:
    store.write("moons.d/000000ba52bb0e23.moon", planet(0).to_bytes())
    with pytest.raises(ConfigError, match=r"/000000ba52bb0e23\.moon is no moon"):
        store.load_moons()


def test_a_moon_that_is_no_world_is_named(store: Store) -> None:
    store.write("moons.d/000000ba52bb0e23.moon", b"foreign")
    with pytest.raises(ConfigError, match=r"/000000ba52bb0e23\.moon is not a world file"):
        store.load_moons()


def test_a_link_that_leads_to_nothing_is_no_reason_for_a_new_identity(
    store: Store, tmp_path: Path
) -> None:
    link = store.home / "identity.secret"
    link.symlink_to(tmp_path / "not mounted")
    with pytest.raises(ConfigError, match=r"secret leads to nothing: bring back .*mounted"):
        store.load_identity()
    assert link.is_symlink()


# -- known peers -----------------------------------------------------------------------------

NOW = 1_800_000_000.0


def peer(number: int, *, is_reached: bool = True) -> KnownPeer:
    secret = SecretIdentity.from_text(TEXTS[number])
    endpoints = (Endpoint(ip_address("44.1.0.2"), 9993),) if is_reached else ()
    return KnownPeer(secret.public, 12, (1, 14, 1), endpoints)


def put_peer(store: Store, known: KnownPeer, *, age: float = 0.0) -> str:
    key = f"peers.d/{known.identity.address:010x}.peer"
    store.write(key, known.to_bytes(), is_flushed=False)
    os.utime(store.home / key, (NOW - age, NOW - age))
    return key


def test_without_known_peers_there_are_none(store: Store) -> None:
    assert store.load_peers(NOW) == []


def test_known_peers_are_read_those_that_were_in_reach_first(store: Store) -> None:
    put_peer(store, peer(0), age=500.0)
    put_peer(store, peer(1, is_reached=False))
    put_peer(store, peer(2), age=100.0)
    assert store.load_peers(NOW) == [peer(2), peer(0), peer(1, is_reached=False)]


@pytest.mark.parametrize("content", [b"", b"\x02", b"garbage" * 30, b"\x01" + bytes(100)])
def test_a_peer_that_cannot_be_read_is_passed_over_and_stays(store: Store, content: bytes) -> None:
    store.write("peers.d/ba52bb0e23.peer", content)
    assert store.load_peers(NOW) == []
    assert store.read("peers.d/ba52bb0e23.peer") == content


def test_a_peer_under_the_name_of_another_is_passed_over(store: Store) -> None:
    store.write("peers.d/ba52bb0e23.peer", peer(3).to_bytes())
    assert store.load_peers(NOW) == []


@pytest.mark.parametrize(("is_reached", "stays"), [(True, True), (False, False)])
def test_who_was_not_heard_of_for_thirty_days_is_forgotten(
    store: Store, is_reached: bool, stays: bool
) -> None:
    key = put_peer(store, peer(0, is_reached=is_reached), age=31 * 86_400)
    assert bool(store.load_peers(NOW)) is stays
    assert (store.home / key).exists() is stays


def test_no_more_peers_are_kept_than_there_is_room_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_MAX_PEERS", 1)
    put_peer(store, peer(0), age=100.0)
    put_peer(store, peer(1))
    assert store.load_peers(NOW) == [peer(1)]
    assert len(list((store.home / "peers.d").iterdir())) == 1


# -- other files of the original -------------------------------------------------------------


def test_the_metrics_have_a_token_of_their_own(store: Store) -> None:
    token = store.metrics_token(lambda size: bytes(range(size)))
    assert (store.home / "metricstoken.secret").read_text() == token
    assert token != store.auth_token(lambda size: bytes(size))
    assert mode(store.home / "metricstoken.secret") == 0o600


def test_what_networks_are_allowed_is_read(store: Store) -> None:
    store.write("networks.d/8056c2e21c000001.local.conf", b"allowDNS=1\n")
    store.write("networks.d/readme.local.conf", b"allowDNS=1\n")
    assert store.load_local_settings() == {NETWORK: b"allowDNS=1\n"}


def test_a_device_map_names_devices(store: Store) -> None:
    lines = b"8056c2e21c000001=office\nnonsense\n8056c2e21c000002=too long a name for it\n"
    store.write("devicemap", lines)
    assert store.load_device_names() == {NETWORK: "office"}


def test_without_a_device_map_no_names_are_wished_for(store: Store) -> None:
    assert store.load_device_names() == {}
