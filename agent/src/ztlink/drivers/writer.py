"""Writes state beside the work: a thread of its own, so that a slow disk holds up no packet.

Of several values for one file the last is written. What must not be lost is flushed to disk, one
file after the other; what can be learnt again, as known peers, is gathered for a moment and written
without waiting for the disk. Either way a file is replaced as a whole.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Final

from ztlink.drivers.clock import read_clock
from ztlink.drivers.store import (
    PEERS,
    PLACEHOLDER,
    Store,
    local_settings_key,
    network_key,
)
from ztlink.errors import ConfigError
from ztlink.ids import NetworkId
from ztlink.wire.netconf import NetworkConfig

logger = logging.getLogger(__name__)

GATHERING: Final = 0.5
"""Seconds for which values that can be learnt again are gathered: a path that flaps is written
twice a second. They wait no longer, however much else there is to write."""
MAX_PENDING: Final = 65_536
"""More files than a node has peers."""


@dataclass(frozen=True, slots=True)
class _Value:
    content: bytes | None
    mode: int


class StateWriter:
    """Puts values into a home, in order for each file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._urgent: dict[str, _Value] = {}
        self._gathered: dict[str, _Value] = {}
        self._gathered_until = 0.0
        self._changed = threading.Condition()
        self._is_stopping = False
        self._is_busy = False
        self._is_hurried = False
        self._failed: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="ztlink-state", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, key: str, content: bytes | None, mode: int = 0o600) -> None:
        """Have a file written, or removed; from any thread, without waiting."""
        value = _Value(content, mode)
        with self._changed:
            if not key.startswith(f"{PEERS}/"):
                self._urgent[key] = value
            elif key in self._gathered or len(self._gathered) < MAX_PENDING:
                if not self._gathered:
                    self._gathered_until = read_clock().mono + GATHERING
                self._gathered[key] = value
            self._changed.notify_all()

    def keep_network(self, network_id: NetworkId, config: NetworkConfig | None) -> None:
        """Keep a network's configuration, or only that it is joined."""
        self.put(network_key(network_id), PLACEHOLDER if config is None else config.encode())

    def forget_network(self, network_id: NetworkId) -> None:
        """Forget a network that was left."""
        self.put(network_key(network_id), None)
        self.put(local_settings_key(network_id), None)

    def flush(self) -> None:
        """Have all that was put written at once, and wait for that."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    not (self._urgent or self._gathered or self._is_busy)
                    or not self._thread.is_alive()
                )
            )

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(self._has_work)
                remaining = self._gathered_until - read_clock().mono
                is_early = remaining > 0.0 and self._changed.wait_for(self._cannot_wait, remaining)
                is_last = self._is_stopping
                work, self._urgent = self._urgent, {}
                if not is_early or is_last or self._is_hurried:
                    work, self._gathered = work | self._gathered, {}
                    self._is_hurried = False
                self._is_busy = True
            for key, value in work.items():
                self._write(key, value)
            if is_last and not work:
                return

    def _has_work(self) -> bool:
        return bool(self._urgent or self._gathered) or self._is_stopping

    def _cannot_wait(self) -> bool:
        return bool(self._urgent) or self._is_hurried or self._is_stopping

    def _write(self, key: str, value: _Value) -> None:
        """Write one file; one that cannot be written is told of once, until it can."""
        try:
            is_flushed = not key.startswith(f"{PEERS}/")
            self._store.write(key, value.content, value.mode, is_flushed=is_flushed)
        except ConfigError as error:
            if key not in self._failed:
                logger.error("state is not kept error=%s", error)
            self._failed.add(key)
        else:
            self._failed.discard(key)
