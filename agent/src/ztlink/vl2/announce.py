"""Telling others which groups we listen to, hearing it from them, and answering who listens."""

from collections.abc import Callable, Sequence
from typing import Final

from ztlink.batch import Verdict
from ztlink.clock import Now
from ztlink.ids import Address, MulticastGroup, NetworkId, PacketId, is_multicast, is_reserved
from ztlink.stats import Drop
from ztlink.vl2.controller import ControllerPort
from ztlink.vl2.foreign import ForeignGroups
from ztlink.vl2.multicast import GroupTable, QueuedFrame, sample
from ztlink.vl2.network import ANNOUNCE_INTERVAL, Network
from ztlink.vl2.underlay import Underlay
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import Identity
from ztlink.wire.network import (
    GatherResults,
    Like,
    MulticastGather,
    MulticastLike,
    OkMulticastGather,
)
from ztlink.wire.verbs import Verb

LIKES_PER_PACKET: Final = 400
"""7,200 bytes: well below what seven datagrams carry."""
MAX_GATHERED: Final = 1000
ANNOUNCE_SPACING: Final = 5.0
"""Seconds between two announcements to a root that comes and goes."""


class Groups:
    """Multicast groups on all networks, and on other people's networks where we are a root."""

    def __init__(
        self,
        underlay: Underlay,
        networks: dict[NetworkId, Network],
        controller: ControllerPort,
        late_member: Callable[[Network, QueuedFrame, Address, Now], None],
    ) -> None:
        """Make it; `late_member` is called when a listener turns up for a frame that waits."""
        self._late_member = late_member
        self._underlay = underlay
        self._networks = networks
        self._controller = controller
        self.foreign = ForeignGroups(underlay.identity.address)

    # -- ours --------------------------------------------------------------------------------

    def subscribe(self, network: Network, groups: frozenset[MulticastGroup], now: Now) -> None:
        """Take what the port listens to; what is new is announced to everybody at once."""
        new = groups - network.subscriptions
        network.subscriptions = groups
        if new:
            self._send(network, sorted(new), self._everybody(network), now)
            network.announced(now)

    def announce(self, network: Network, now: Now) -> None:
        """Tell the roots, the controller and the members that we know what we listen to."""
        self._send(network, network.own_groups(), self._everybody(network), now)

    def announce_to(self, network: Network, peer: Address, now: Now) -> None:
        """Tell one member, at most once a minute."""
        last = network.last_announced.last(peer)
        if now.mono - last >= ANNOUNCE_INTERVAL:
            self._send(network, network.own_groups(), [peer], now)

    def announce_soon(self, network: Network, root: Address, now: Now) -> None:
        """Tell one root, unless it was told just now."""
        if now.mono - network.last_announced.last(root) >= ANNOUNCE_SPACING:
            self._send(network, network.own_groups(), [root], now)

    def _everybody(self, network: Network) -> list[Address]:
        config = network.config
        informed = config.informed if config else ()
        upstream = [*self._underlay.roots(), network.controller, *informed]
        members = [
            address
            for address in network.members
            if (identity := self._underlay.identity_of(address)) is not None
            and network.allows(identity)
        ]
        everybody = dict.fromkeys([*upstream, *members])
        everybody.pop(network.own, None)
        return list(everybody)

    def _send(
        self,
        network: Network,
        groups: list[MulticastGroup],
        targets: list[Address],
        now: Now,
    ) -> None:
        if not groups or network.config is None:
            return
        likes = [Like(network.network_id, group) for group in groups]
        for first in range(0, len(likes), LIKES_PER_PACKET):
            payload = MulticastLike(tuple(likes[first : first + LIKES_PER_PACKET])).to_bytes()
            for target in targets:
                network.last_announced.note(target, now)
                if self._underlay.identity_of(target) is not None:
                    self._underlay.send(target, Verb.MULTICAST_LIKE, payload, now, compress=True)

    # -- theirs ------------------------------------------------------------------------------

    def receive_like(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        """Note what a node listens to, on the networks where we have to do with it."""
        verdict = Verdict.ACCEPTED
        said_too_much = 0
        for network_id, groups in _by_network(MulticastLike.decode(Reader(payload)).likes).items():
            network = self._networks.get(network_id)
            if network is not None and network.allows(peer):
                verdict = Verdict.TRUSTED
            elif not self._serves(network_id, peer, now):
                continue
            for group in groups:
                if network is None:
                    said_too_much += not self.foreign.add(network_id, group, peer.address, now)
                    continue
                for queued in network.groups.add(group, peer.address, now):
                    self._late_member(network, queued, peer.address, now)
        self.foreign.bound(now)
        if said_too_much:
            self._underlay.stats.drop(Drop.RATE_LIMITED)
        return verdict

    def _serves(self, network_id: NetworkId, peer: Identity, now: Now) -> bool:
        """Tell whether we keep groups of a network for a peer that is not known to be on it."""
        return self._underlay.is_root() or self._controller.has_served(
            network_id, peer.address, now
        )

    def _table(self, network_id: NetworkId, peer: Identity, now: Now) -> GroupTable | None:
        """Return the groups of a network, if this peer may ask about them."""
        network = self._networks.get(network_id)
        if network is not None and network.allows(peer):
            return network.groups
        if not self._serves(network_id, peer, now):
            return None
        return network.groups if network is not None else self.foreign.find(network_id)

    def receive_gather(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        """Answer who listens to a group; silence where nobody does."""
        gather = MulticastGather.decode(Reader(payload))
        table = self._table(gather.network_id, peer, now)
        if table is None or gather.limit == 0:
            return Verdict.ACCEPTED
        members, total = self.listeners(
            gather.network_id, table, gather.group, peer.address, gather.limit, now
        )
        if members:
            writer = Writer()
            writer.push_uint(Verb.MULTICAST_GATHER, 1)
            writer.push_uint(packet_id, 8)
            results = GatherResults(total, tuple(members))
            OkMulticastGather(gather.network_id, gather.group, results).encode(writer)
            self._underlay.send(peer.address, Verb.OK, writer.getvalue(), now)
        return Verdict.ACCEPTED

    def listeners(
        self,
        network_id: NetworkId,
        table: GroupTable,
        group: MulticastGroup,
        asker: Address,
        limit: int,
        now: Now,
    ) -> tuple[list[Address], int]:
        """Return some listeners, ourselves first, and how many there are in all."""
        known = [m for m in table.members(group, now) if m != asker and not is_reserved(m)]
        chosen: list[Address] = []
        network = self._networks.get(network_id)
        if network is not None and group in network.own_groups():
            chosen.append(network.own)
        most = min(limit, MAX_GATHERED) - len(chosen)
        chosen += sample(known, most, self._underlay.random_bytes)
        return chosen, len(known) + (1 if network and chosen[:1] == [network.own] else 0)


def _by_network(likes: Sequence[Like]) -> dict[NetworkId, list[MulticastGroup]]:
    groups: dict[NetworkId, list[MulticastGroup]] = {}
    for like in likes:
        if is_multicast(like.group.mac):
            groups.setdefault(like.network_id, []).append(like.group)
    return groups
