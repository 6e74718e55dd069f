"""What is in a home: identity, worlds, networks, peers, tokens; file names as the original's.

What cannot be read is never written over.
"""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ztlink.crypto.identity import has_matching_keys
from ztlink.drivers.home import Home
from ztlink.errors import ConfigError, WireError
from ztlink.ids import NetworkId, format_address, format_network_id, parse_network_id
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World, WorldType

logger = logging.getLogger(__name__)

IDENTITY_SECRET: Final = "identity.secret"  # noqa: S105 - the name of a file
IDENTITY_PUBLIC: Final = "identity.public"
PLANET: Final = "planet"
MOONS: Final = "moons.d"
NETWORKS: Final = "networks.d"
PEERS: Final = "peers.d"
AUTH_TOKEN: Final = "authtoken.secret"  # noqa: S105 - the name of a file
METRICS_TOKEN: Final = "metricstoken.secret"  # noqa: S105 - the name of a file
LOCAL_CONF: Final = "local.conf"
DEVICE_MAP: Final = "devicemap"
PORT: Final = "zerotier-one.port"
LOCAL_SUFFIX: Final = ".local.conf"
DEVICE_NAME: Final = re.compile(r"[^\s/:%]{1,15}")
"""What the kernel takes for the name of a device."""
TOKEN_SIZE: Final = 24
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
PLACEHOLDER: Final = b"\n"
_MAX_PEERS: Final = 16_384
_PEER_LIFETIME: Final = 30 * 86_400
"""Seconds after which the file of a peer that was not in reach is removed, as the original does."""


class Store(Home):
    """The files of a node."""

    folders = (MOONS, NETWORKS, PEERS)

    # -- what is in it -----------------------------------------------------------------------

    def load_identity(self, *, with_work: bool = True) -> SecretIdentity | None:
        """Return the identity, None where there is none yet; ConfigError where it is not good.

        Without its proof of work, for whoever has that checked elsewhere.
        """
        content = self.read(IDENTITY_SECRET)
        where = self.home / IDENTITY_SECRET
        if content is None and where.is_symlink():  # to what is not mounted yet, for instance
            raise ConfigError(f"{where} leads to nothing: bring back {where.readlink()}")
        if content is None:
            return None
        secret = check_identity(content, str(where), with_work=with_work)
        self._show_identity(secret)
        return secret

    def adopt_identity(self, file: Path, *, with_work: bool = True) -> SecretIdentity:
        """Return the identity that is kept in a file elsewhere; it never displaces the home's own.

        Its private keys are not copied into the home.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror}") from error
        secret = check_identity(content, str(file), with_work=with_work)
        own = self.load_identity(with_work=with_work)
        if own is not None and own.public != secret.public:
            raise ConfigError(
                f"{file} is another identity than {self.home / IDENTITY_SECRET}: move the latter "
                "away to run as the former, or do not name it in the configuration"
            )
        self._show_identity(secret)
        return secret

    def _show_identity(self, secret: SecretIdentity) -> None:
        public = str(secret.public).encode()
        if (self.read(IDENTITY_PUBLIC) or b"").strip() != public:
            self.write(IDENTITY_PUBLIC, public, 0o644)

    def save_identity(self, secret: SecretIdentity) -> None:
        """Keep a new identity."""
        self.write(IDENTITY_SECRET, secret.to_text().encode())
        self.write(IDENTITY_PUBLIC, str(secret.public).encode(), 0o644)

    def load_planet(self) -> World | None:
        """Return the planet file, None where there is none."""
        return self._load_world(PLANET, WorldType.PLANET)

    def load_moons(self) -> list[World]:
        """Return the moons, by file name."""
        files = sorted((self.home / MOONS).glob("*.moon"))
        moons = (self._load_world(f"{MOONS}/{file.name}", WorldType.MOON) for file in files)
        return [moon for moon in moons if moon is not None]

    def load_moon(self, moon_id: int) -> World | None:
        """Return a moon by its id, None where it has no file."""
        key = f"{MOONS}/{moon_id:016x}.moon"
        moon = self._load_world(key, WorldType.MOON)
        if moon is not None and moon.world_id != moon_id:
            raise ConfigError(f"{self.home / key} is the moon {moon.world_id:016x}: rename it")
        return moon

    def _load_world(self, key: str, wanted: WorldType) -> World | None:
        content = self.read(key)
        if content is None:
            return None
        try:
            world = World.decode(Reader(content))
        except WireError as error:
            raise ConfigError(
                f"{self.home / key} is not a world file ({error}): replace it or remove it"
            ) from error
        if world.world_type is not wanted:
            raise ConfigError(f"{self.home / key} is no {wanted.name.lower()}: replace it")
        return world

    def load_networks(self) -> dict[NetworkId, NetworkConfig | None]:
        """Return the networks to join, with the configuration kept of each if it is readable."""
        networks: dict[NetworkId, NetworkConfig | None] = {}
        for file in sorted((self.home / NETWORKS).glob("*.conf")):
            if file.name.endswith(".local.conf"):
                continue
            try:
                network_id = parse_network_id(file.stem)
            except ValueError:
                continue
            networks[network_id] = self.load_network(network_id)
        return networks

    def load_network(self, network_id: NetworkId) -> NetworkConfig | None:
        """Return the configuration kept of a network; None where there is none to be read."""
        content = self.read(network_key(network_id)) or b""
        try:
            return NetworkConfig.decode(content) if len(content) > 1 else None
        except WireError:
            return None

    def load_peers(self, unix_seconds: float) -> list[KnownPeer]:
        """Return the peers of former times: those that were in reach first, then the newest.

        What is not readable is passed over. Files of the long forgotten are removed, and so are
        those for which there is no room.
        """
        found: list[tuple[bool, float, KnownPeer]] = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.home / PEERS):
                peer = _read_peer(Path(entry.path))
                if peer is None:
                    continue
                time = entry.stat().st_mtime
                if not peer.endpoints and unix_seconds - time > _PEER_LIFETIME:
                    self.write(f"{PEERS}/{entry.name}", None)
                else:
                    found.append((bool(peer.endpoints), time, peer))
        found.sort(key=lambda one: one[:2], reverse=True)
        for _, _, peer in found[_MAX_PEERS:]:
            self.write(f"{PEERS}/{format_address(peer.identity.address)}.peer", None)
        return [peer for _, _, peer in found[:_MAX_PEERS]]

    def load_local_settings(self) -> dict[NetworkId, bytes]:
        """Return the text of what the operator allows each network."""
        found: dict[NetworkId, bytes] = {}
        for file in sorted((self.home / NETWORKS).glob(f"*{LOCAL_SUFFIX}")):
            with contextlib.suppress(ValueError):
                network_id = parse_network_id(file.name.removesuffix(LOCAL_SUFFIX))
                found[network_id] = self.read(f"{NETWORKS}/{file.name}") or b""
        return found

    def load_device_names(self) -> dict[NetworkId, str]:
        """Return the names that a `devicemap` gives to networks' devices."""
        names: dict[NetworkId, str] = {}
        for line in (self.read(DEVICE_MAP) or b"").decode(errors="replace").splitlines():
            network_id, _, name = line.partition("=")
            with contextlib.suppress(ValueError):
                if DEVICE_NAME.fullmatch(name.strip()):
                    names[parse_network_id(network_id.strip())] = name.strip()
        return names

    def auth_token(self, random_bytes: Callable[[int], bytes]) -> str:
        """Return the token of the local API, made if there is none."""
        return self._token(AUTH_TOKEN, random_bytes)

    def metrics_token(self, random_bytes: Callable[[int], bytes]) -> str:
        """Return the token that opens the metrics alone, made if there is none."""
        return self._token(METRICS_TOKEN, random_bytes)

    def _token(self, key: str, random_bytes: Callable[[int], bytes]) -> str:
        content = self.read(key)
        if content and content.strip():
            return content.decode("ascii", errors="replace").strip()
        letters = (_LETTERS[byte % 36] for byte in _unbiased(random_bytes))
        token = "".join(letter for letter, _ in zip(letters, range(TOKEN_SIZE), strict=False))
        self.write(key, token.encode())
        return token


def check_identity(content: bytes, where: str, *, with_work: bool = True) -> SecretIdentity:
    """Return the identity that bytes hold; ConfigError says where they are and what to do.

    Whether its keys belong together is found out at once. Whether its address is theirs takes the
    proof of work: some 30 ms, and modules that little else needs.
    """
    try:
        secret = SecretIdentity.from_text(content.decode("ascii").strip())
    except (UnicodeDecodeError, WireError) as error:
        why = "not text" if isinstance(error, UnicodeDecodeError) else error
        raise ConfigError(
            f"{where} is not an identity ({why}); it was left as it is: "
            "restore it from a backup, or move it away to get a new address"
        ) from error
    if not has_matching_keys(secret) or (with_work and not _has_work(secret)):
        raise misfit(where)
    return secret


def _has_work(secret: SecretIdentity) -> bool:
    from ztlink.crypto.work import validate  # here: a node has another process do this

    return validate(secret.public)


def misfit(where: str) -> ConfigError:
    """Return the error of an identity whose parts do not belong together."""
    return ConfigError(
        f"{where} does not belong together (address and keys differ); it was left as it "
        "is: restore it from a backup, or move it away to get a new address"
    )


def _unbiased(random_bytes: Callable[[int], bytes]) -> Iterator[int]:
    while True:
        for byte in random_bytes(64):
            if byte < 252:  # 7 x 36: every letter is as likely as any other
                yield byte


def network_key(network_id: NetworkId) -> str:
    """Return the file of a network's configuration."""
    return f"{NETWORKS}/{format_network_id(network_id)}.conf"


def local_settings_key(network_id: NetworkId) -> str:
    """Return the file of what the operator allows a network."""
    return f"{NETWORKS}/{format_network_id(network_id)}{LOCAL_SUFFIX}"


def _read_peer(file: Path) -> KnownPeer | None:
    if file.suffix != ".peer":
        return None
    try:
        peer = KnownPeer.from_bytes(file.read_bytes())
    except (OSError, WireError) as error:
        logger.warning("a known peer is passed over file=%s error=%s", file, error)
        return None
    return peer if file.stem == format_address(peer.identity.address) else None
