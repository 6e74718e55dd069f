"""Showing our credentials to peers, and filing theirs."""

from typing import Final

from ztlink.batch import Verdict
from ztlink.budget import Budgets
from ztlink.clock import Now
from ztlink.ids import Address, NetworkId, controller_of
from ztlink.stats import Drop
from ztlink.vl2.checks import SignatureChecks
from ztlink.vl2.membership import AddResult, Membership
from ztlink.vl2.network import PUSH_INTERVAL, Network, Unsent
from ztlink.vl2.propagation import Propagation
from ztlink.vl2.underlay import Underlay
from ztlink.vl2.verification import CountingVerifier, make_verifier
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Credential,
    Revocation,
    Tag,
)
from ztlink.wire.identity import Identity
from ztlink.wire.network import NetworkCredentials
from ztlink.wire.verbs import Verb

MAX_PACKET: Final = 9_900
"""A packet of credentials stays below what seven datagrams carry."""
RECEIVED_PER_SECOND: Final = 50.0
"""Packets of credentials of one peer, after a burst; the original's one a second loses honest
ones."""
RECEIVE_BURST: Final = 8
MAX_SENDERS: Final = 65_536
MIN_REPUSH_INTERVAL: Final = 0.99
"""Seconds; below one, so that who asks with each ARP request, every second, is answered each time
and not every other."""
MAX_WAITING: Final = 256
PUSH_SPACING: Final = 1.1
"""Seconds between packets of one push: the original takes one a second of each sender."""


class Credentials:
    """The exchange of credentials on all networks."""

    def __init__(
        self,
        underlay: Underlay,
        networks: dict[NetworkId, Network],
        checks: SignatureChecks,
        propagation: Propagation,
    ) -> None:
        self._underlay = underlay
        self._networks = networks
        self._checks = checks
        self._propagation = propagation
        self._gates: Budgets[Address] = Budgets(RECEIVED_PER_SECOND, RECEIVE_BURST, MAX_SENDERS)
        self._waiting: dict[Address, dict[Address, None]] = {}
        """Controllers whose identity is not known yet -> who showed us credentials of theirs."""

    # -- ours --------------------------------------------------------------------------------

    def push_if_due(self, network: Network, peer: Address, now: Now) -> None:
        """Show our credentials before a frame, where the peer has not seen the present ones."""
        last = network.last_push.last(peer)
        if last < network.config_time or now.mono - last > PUSH_INTERVAL:
            self.push(network, peer, now)

    def push_on_request(self, network: Network, peer: Address, now: Now) -> None:
        """Show our credentials because the peer asks: once a second, against floods."""
        last = network.last_push.last(peer)
        if last < network.config_time or now.mono - last > MIN_REPUSH_INTERVAL:
            self.push(network, peer, now)

    def push(self, network: Network, peer: Address, now: Now) -> None:
        """Show our credentials now."""
        config = network.config
        if config is None or config.com is None:
            return
        network.last_push.note(peer, now)
        packets = _pack(config.com, config.capabilities, config.tags, config.coos)
        self._send(peer, packets[0], now)
        if len(packets) > 1:
            network.unsent[peer] = Unsent(now.mono + PUSH_SPACING, packets[1:])
            network.wake()
        else:
            network.unsent.pop(peer, None)

    def continue_pushes(self, network: Network, now: Now) -> None:
        """Send what is due of pushes that take several packets."""
        for peer, unsent in list(network.unsent.items()):
            if unsent.due > now.mono:
                continue
            self._send(peer, unsent.packets.pop(0), now)
            unsent.due = now.mono + PUSH_SPACING
            if not unsent.packets:
                del network.unsent[peer]

    def _send(self, peer: Address, packet: NetworkCredentials, now: Now) -> None:
        self._underlay.send(peer, Verb.NETWORK_CREDENTIALS, packet.to_bytes(), now, compress=True)

    # -- theirs ------------------------------------------------------------------------------

    def receive(self, sender: Address, packet: NetworkCredentials, now: Now) -> Verdict:
        """File what a peer shows; it may be anyone's, the signatures tell."""
        if not self._gates.spend(sender, now):
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            return Verdict.DROPPED
        verdict = Verdict.ACCEPTED
        credentials: list[Credential] = [
            *packet.coms,
            *packet.capabilities,
            *packet.tags,
            *packet.revocations,
            *packet.coos,
        ]
        for credential in credentials:
            verdict = _worse(verdict, self.add(credential, sender, now))
        return verdict

    def add(self, credential: Credential, sender: Address, now: Now) -> Verdict:
        """File one credential under whom it was issued to."""
        network = self._networks.get(NetworkId(credential.network_id))
        if network is None:
            return Verdict.ACCEPTED
        subject = credential.target if isinstance(credential, Revocation) else credential.issued_to
        if not self._checks.allows(sender, now):
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            return Verdict.ACCEPTED
        record = network.members.get(subject) or Membership(network.network_id, subject)
        verifier = CountingVerifier(make_verifier(self._identity_of))
        result = record.add(credential, verifier)
        if verifier.checked and result is not AddResult.NEW:
            self._checks.in_vain(sender, verifier.checked, now)
        if result is AddResult.NEED_IDENTITY:
            self._wait_for(controller_of(network.network_id), sender)
            self._underlay.ask_identity(controller_of(network.network_id), now)
            return Verdict.RETRY
        if result is AddResult.REJECTED:
            self._underlay.stats.drop(Drop.BAD_CREDENTIAL)
            return Verdict.ACCEPTED
        if result is AddResult.NEW:
            network.keep(record)
            network.forget_party(subject)
            self._on_new(network, record, credential, sender, now)
        return Verdict.TRUSTED

    def signer_known(self, signer: Address, now: Now) -> None:
        """Take up what could not be judged before: whose signature it bears is known now."""
        for sender in self._waiting.pop(signer, {}):
            self._underlay.retry_held(sender, now)

    def _wait_for(self, signer: Address, sender: Address) -> None:
        waiting = self._waiting.setdefault(signer, {})
        if len(waiting) < MAX_WAITING:
            waiting[sender] = None

    def _identity_of(self, address: Address) -> Identity | None:
        if address == self._underlay.identity.address:
            return self._underlay.identity
        return self._underlay.identity_of(address)

    def _on_new(
        self,
        network: Network,
        record: Membership,
        credential: Credential,
        sender: Address,
        now: Now,
    ) -> None:
        if isinstance(credential, Revocation):
            if record.address == network.own:
                network.receive_revocation(credential, now)
            if credential.is_fast_propagate:
                self._propagate(network, credential, sender, now)
            return
        self._underlay.retry_held(record.address, now)

    def _propagate(
        self, network: Network, revocation: Revocation, sender: Address, now: Now
    ) -> None:
        """Pass a new revocation on to other members, so that it outruns its target."""
        payload = NetworkCredentials(revocations=(revocation,)).to_bytes()
        but = (sender, revocation.signer)
        self._propagation.pass_on(network, Verb.NETWORK_CREDENTIALS, payload, but, now)


def _worse(first: Verdict, second: Verdict) -> Verdict:
    order = (Verdict.ACCEPTED, Verdict.TRUSTED, Verdict.RETRY)
    return max(first, second, key=order.index)


def _pack(
    com: Com,
    capabilities: tuple[Capability, ...],
    tags: tuple[Tag, ...],
    coos: tuple[CertificateOfOwnership, ...],
) -> list[NetworkCredentials]:
    """Spread credentials over as few packets as they need, the certificate of membership first."""
    packets = [NetworkCredentials(coms=(com,))]
    size = 300

    def room(wanted: int) -> None:
        nonlocal size
        if size + wanted > MAX_PACKET:
            packets.append(NetworkCredentials())
            size = 16
        size += wanted

    for capability in capabilities:
        room(capability.size)
        packets[-1] = packets[-1].adding(capability)
    for tag in tags:
        room(tag.size)
        packets[-1] = packets[-1].adding(tag)
    for coo in coos:
        room(coo.size)
        packets[-1] = packets[-1].adding(coo)
    return packets
