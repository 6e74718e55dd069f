"""Asking for moons that are wanted: their seeds are greeted, by a HELLO that names the moon.

A seed may be out of reach, unknown to the roots, or not have the moon yet; so it is greeted again,
less and less often, until the moon is here or is not wanted any more.
"""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.vl1.contact import Greeter
from ztlink.vl1.context import Context
from ztlink.vl1.topology import Topology

INTERVALS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class MoonSeeker:
    """Greets the seeds of wanted moons."""

    def __init__(self, ctx: Context, topology: Topology, greeter: Greeter) -> None:
        self._ctx = ctx
        self._topology = topology
        self._greeter = greeter
        self._attempts = 0

    def begin(self, now: Now) -> None:
        """Greet all seeds now, and from the beginning: another moon is wanted."""
        self._attempts = 0
        self.handle_timer(now)

    def handle_timer(self, now: Now) -> None:
        """Greet the seeds of what is wanted still."""
        seeds = dict.fromkeys(self._topology.wanted_moons.values())
        if not seeds:
            return
        for seed in seeds:
            self.greet(seed, now)
        interval = INTERVALS[min(self._attempts, len(INTERVALS) - 1)]
        self._attempts += 1
        self._ctx.timers.schedule(self, now.mono + interval)

    def greet(self, seed: Address, now: Now) -> None:
        """Greet a seed, once it is known."""
        peer = self._topology.peers.get(seed)
        if peer is None:
            self._topology.when_known(seed, now, lambda later: self._greet_known(seed, later))
        else:
            self._greet_known(seed, now)

    def _greet_known(self, seed: Address, now: Now) -> None:
        peer = self._topology.peers.get(seed)
        if peer is None or seed not in self._topology.wanted_moons.values():
            return
        path = peer.best_path()
        if path is not None:
            self._greeter.send_hello(peer, path.socket, path.endpoint, now)
        else:
            self._greeter.send_hello_relayed(peer, now)
