"""The home directory: identity, worlds, networks, tokens; file names as the original's.

Every write is atomic: a temporary file in the same directory, flushed to disk, then renamed. What
cannot be read is never written over.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ztlink.crypto.identity import has_matching_keys, validate
from ztlink.errors import ConfigError, WireError
from ztlink.ids import NetworkId, format_network_id, parse_network_id
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World, WorldType

IDENTITY_SECRET: Final = "identity.secret"  # noqa: S105 - the name of a file
IDENTITY_PUBLIC: Final = "identity.public"
PLANET: Final = "planet"
MOONS: Final = "moons.d"
NETWORKS: Final = "networks.d"
AUTH_TOKEN: Final = "authtoken.secret"  # noqa: S105 - the name of a file
PORT: Final = "zerotier-one.port"
LOCK: Final = "ztlink.lock"
TOKEN_SIZE: Final = 24
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_PLACEHOLDER: Final = b"\n"
_MAX_FILE: Final = 1 << 20


class Store:
    """One home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock: int | None = None

    # -- the directory -----------------------------------------------------------------------

    def open(self) -> None:
        """Make the directory if there is none, and hold it against other processes."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot use the home {self.home}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            self.close()
            raise ConfigError(
                f"the home {self.home} is in use by process {holder or 'unknown'}: "
                "stop it, or name another home with --home"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Let others use the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, key: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        try:
            with (self.home / key).open("rb") as file:
                return file.read(_MAX_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"cannot read {self.home / key}: {error.strerror}") from error

    def write(self, key: str, value: bytes | None, mode: int = 0o600) -> None:
        """Replace a file as a whole, or remove it."""
        target = self.home / key
        try:
            if value is None:
                target.unlink(missing_ok=True)
            else:
                _replace(target, value, mode)
        except OSError as error:
            raise ConfigError(f"cannot write {target}: {error.strerror}") from error

    # -- what is in it -----------------------------------------------------------------------

    def load_identity(self) -> SecretIdentity | None:
        """Return the identity, None where there is none yet; ConfigError where it is not good."""
        content = self.read(IDENTITY_SECRET)
        where = self.home / IDENTITY_SECRET
        if content is None and where.is_symlink():  # to what is not mounted yet, for instance
            raise ConfigError(f"{where} leads to nothing: bring back {where.readlink()}")
        if content is None:
            return None
        try:
            secret = SecretIdentity.from_text(content.decode("ascii").strip())
        except (UnicodeDecodeError, WireError) as error:
            why = "not text" if isinstance(error, UnicodeDecodeError) else error
            raise ConfigError(
                f"{where} is not an identity ({why}); it was left as it is: "
                "restore it from a backup, or move it away to get a new address"
            ) from error
        if not has_matching_keys(secret) or not validate(secret.public):
            raise ConfigError(
                f"{where} does not belong together (address and keys differ); it was left as it "
                "is: restore it from a backup, or move it away to get a new address"
            )
        public = str(secret.public).encode()
        if (self.read(IDENTITY_PUBLIC) or b"").strip() != public:
            self.write(IDENTITY_PUBLIC, public, 0o644)
        return secret

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
            content = self.read(f"{NETWORKS}/{file.name}") or b""
            try:
                networks[network_id] = NetworkConfig.decode(content) if len(content) > 1 else None
            except WireError:
                networks[network_id] = None
        return networks

    def save_network(self, network_id: NetworkId, config: NetworkConfig | None) -> None:
        """Keep a network's configuration, or only that it is joined."""
        text = config.encode() if config is not None else _PLACEHOLDER
        self.write(f"{NETWORKS}/{format_network_id(network_id)}.conf", text)

    def write_if_absent(self, network_id: NetworkId) -> None:
        """Keep that a network is joined, without touching a configuration kept of it."""
        if not self.read(f"{NETWORKS}/{format_network_id(network_id)}.conf"):
            self.save_network(network_id, None)

    def forget_network(self, network_id: NetworkId) -> None:
        """Forget a network that was left."""
        for suffix in ("conf", "local.conf"):
            self.write(f"{NETWORKS}/{format_network_id(network_id)}.{suffix}", None)

    def auth_token(self, random_bytes: Callable[[int], bytes]) -> str:
        """Return the token of the local API, made if there is none."""
        content = self.read(AUTH_TOKEN)
        if content and content.strip():
            return content.decode("ascii", errors="replace").strip()
        letters = (_LETTERS[byte % 36] for byte in _unbiased(random_bytes))
        token = "".join(letter for letter, _ in zip(letters, range(TOKEN_SIZE), strict=False))
        self.write(AUTH_TOKEN, token.encode())
        return token


def _unbiased(random_bytes: Callable[[int], bytes]) -> Iterator[int]:
    while True:
        for byte in random_bytes(64):
            if byte < 252:  # 7 x 36: every letter is as likely as any other
                yield byte


def _replace(target: Path, value: bytes, mode: int) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
