"""`ztlink bootstrap`: identity, world and network of a cluster's own root, made once.

Three objects are looked at, and only what is missing is made: a Secret with the identity of root
and controller and with the key that signs worlds, a ConfigMap with the planet, and one with the
network's id. All of it can be repeated and interrupted at any point. Where two of us run at once,
one wins by the API's own checks, and the other takes what it finds. Nothing is ever written over
but a planet whose endpoints are not those that are wanted: a newer one, signed with the kept key,
which nodes accept in place of the old.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ztlink.clock import Now
from ztlink.crypto.work import generate
from ztlink.crypto.world import RESERVED_IDS, make_world
from ztlink.drivers.store import IDENTITY_PUBLIC, IDENTITY_SECRET, check_identity
from ztlink.errors import ConfigError, WireError
from ztlink.ids import NetworkId, format_address, format_network_id, parse_network_id
from ztlink.kube.client import ConflictError
from ztlink.settings import BootstrapSettings
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.world import Root, World, WorldType

logger = logging.getLogger(__name__)

Json = dict[str, Any]

WORLD_SECRET: Final = "world.secret"  # noqa: S105 - the name of a key
PLANET: Final = "planet"
NETWORK_ID: Final = "networkId"
KEEP: Final = {"helm.sh/resource-policy": "keep"}
ATTEMPTS: Final = 5
"""How often an object is looked at anew that others change at the same time."""


class Objects(Protocol):
    """What is needed of the cluster's API."""

    async def get(self, path: str) -> Json | None:
        """Return an object; None where there is none."""

    async def create(self, path: str, body: Json) -> Json:
        """Make an object of a collection; ConflictError where it is there already."""

    async def replace(self, path: str, body: Json) -> Json:
        """Replace an object; ConflictError where its resourceVersion is not the newest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there in the end."""

    address: str
    world: World
    network_id: NetworkId
    changes: tuple[str, ...]
    """What was made, in words; empty where all was there."""


@dataclass(frozen=True, slots=True)
class _Keys:
    identity: SecretIdentity
    world: SecretIdentity


class Bootstrap:
    """One run."""

    def __init__(
        self,
        api: Objects,
        settings: BootstrapSettings,
        random_bytes: Callable[[int], bytes],
        read_clock: Callable[[], Now],
    ) -> None:
        self._api = api
        self._settings = settings
        self._random_bytes = random_bytes
        self._read_clock = read_clock
        self._changes: list[str] = []

    async def run(self) -> Outcome:
        """Make what is missing; ConfigError where something is there that cannot be used."""
        keys = await self._keys()
        world = await self._world(keys)
        network_id = await self._network(keys)
        address = format_address(keys.identity.address)
        return Outcome(address, world, network_id, tuple(self._changes))

    # -- the three objects -------------------------------------------------------------------

    async def _keys(self) -> _Keys:
        """Return the keys; those that are missing are made and kept before they are used."""
        name, kind = self._settings.secret_name, "secrets"
        fresh: dict[str, SecretIdentity] = {}
        for _ in range(ATTEMPTS):
            found = await self._api.get(self._path(kind, name))
            data = dict((found or {}).get("data") or {})
            missing = [key for key in (IDENTITY_SECRET, WORLD_SECRET) if key not in data]
            if found is not None and not missing and IDENTITY_PUBLIC in data:
                return _Keys(*(self._read_key(data, k) for k in (IDENTITY_SECRET, WORLD_SECRET)))
            for key in missing:
                made = fresh.get(key) or generate(self._random_bytes)
                fresh[key] = made
                data[key] = _encode(made.to_text().encode())
            public = self._read_key(data, IDENTITY_SECRET).public
            data[IDENTITY_PUBLIC] = _encode(str(public).encode())
            body = self._object("Secret", name, found, {"type": "Opaque", "data": data})
            await self._put(kind, name, found, body, f"{', '.join(missing) or IDENTITY_PUBLIC}")
        raise self._restless(kind, name)

    async def _world(self, keys: _Keys) -> World:
        name, kind = self._settings.world_name, "configmaps"
        wanted = (Root(keys.identity.public, self._settings.endpoints),)
        for _ in range(ATTEMPTS):
            found = await self._api.get(self._path(kind, name))
            known = None if found is None else self._read_world(found, keys)
            if known is not None and known.roots == wanted:
                return known
            made = self._make_world(known, wanted, keys)
            binary = dict((found or {}).get("binaryData") or {})
            content = {"binaryData": {**binary, PLANET: _encode(made.to_bytes())}}
            body = self._object("ConfigMap", name, found, content)
            await self._put(kind, name, found, body, PLANET)
        raise self._restless(kind, name)

    async def _network(self, keys: _Keys) -> NetworkId:
        name, kind = self._settings.network_name, "configmaps"
        for _ in range(ATTEMPTS):
            found = await self._api.get(self._path(kind, name))
            data = dict((found or {}).get("data") or {})
            if NETWORK_ID in data:
                return self._read_network(data[NETWORK_ID], keys)
            number = int.from_bytes(self._random_bytes(3), "big") or 1
            network_id = NetworkId(keys.identity.address << 24 | number)
            content = {"data": {**data, NETWORK_ID: format_network_id(network_id)}}
            body = self._object("ConfigMap", name, found, content)
            await self._put(kind, name, found, body, NETWORK_ID)
        raise self._restless(kind, name)

    # -- making ------------------------------------------------------------------------------

    def _make_world(self, known: World | None, roots: tuple[Root, ...], keys: _Keys) -> World:
        now = self._read_clock().unix_ms
        if known is not None:  # newer also where our clock is behind
            unix_ms = max(now, known.timestamp + 1)
            return make_world(WorldType.PLANET, known.world_id, unix_ms, roots, keys.world)
        world_id = 0
        while world_id == 0 or world_id in RESERVED_IDS:
            world_id = int.from_bytes(self._random_bytes(8), "big")
        return make_world(WorldType.PLANET, world_id, now, roots, keys.world)

    def _object(self, kind: str, name: str, found: Json | None, content: Json) -> Json:
        """Return an object to be made, or the one that was found with new content."""
        if found is not None:
            return {**found, **content}
        metadata = {
            "name": name,
            "namespace": self._settings.namespace,
            "labels": dict(self._settings.labels),
            "annotations": dict(KEEP),
        }
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}

    async def _put(self, kind: str, name: str, found: Json | None, body: Json, what: str) -> None:
        """Write; whether it is there now, also by somebody else, the next look tells."""
        try:
            if found is None:
                await self._api.create(self._path(kind), body)
            else:
                await self._api.replace(self._path(kind, name), body)
        except ConflictError as error:
            logger.info("%s: somebody was faster, looking again", error)
        else:
            self._changes.append(f"{what} in {body['kind']} {name}")

    # -- reading -----------------------------------------------------------------------------

    def _path(self, kind: str, name: str = "") -> str:
        path = f"/api/v1/namespaces/{self._settings.namespace}/{kind}"
        return f"{path}/{name}" if name else path

    def _read_key(self, data: Mapping[str, str], key: str) -> SecretIdentity:
        where = f"{key} in Secret {self._settings.secret_name}"
        return check_identity(_decode(data[key], where), where)

    def _read_world(self, found: Json, keys: _Keys) -> World | None:
        where = f"{PLANET} in ConfigMap {self._settings.world_name}"
        text = (found.get("binaryData") or {}).get(PLANET)
        if text is None:
            return None
        try:
            world = World.decode(Reader(_decode(text, where)))
        except WireError as error:
            raise ConfigError(
                f"{where} is not a world ({error}); it was left as it is: restore it, or delete "
                "the ConfigMap to have it made anew, and restart all nodes"
            ) from error
        if world.next_update_key != keys.world.public.public_key:
            raise ConfigError(
                f"{where} was signed with another key than {WORLD_SECRET} in Secret "
                f"{self._settings.secret_name}; it was left as it is: restore the Secret that "
                "belongs to it, or delete the ConfigMap to have it made anew, and restart all nodes"
            )
        return world

    def _read_network(self, text: str, keys: _Keys) -> NetworkId:
        where = f"{NETWORK_ID} in ConfigMap {self._settings.network_name}"
        try:
            network_id = parse_network_id(text.strip())
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
        if network_id >> 24 != keys.identity.address:
            raise ConfigError(
                f"{where} is {text.strip()}, a network of another controller than "
                f"{format_address(keys.identity.address)}: restore the Secret "
                f"{self._settings.secret_name} that belongs to it, or delete the ConfigMap to "
                "have a new network"
            )
        return network_id

    def _restless(self, kind: str, name: str) -> ConflictError:
        return ConflictError(
            f"{self._path(kind, name)} was changed by somebody else {ATTEMPTS} times in a row: "
            "try again"
        )


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decode(text: object, where: str) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{where} is not base64: {error}") from error
