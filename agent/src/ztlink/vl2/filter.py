"""The rules of a network applied to its frames: compiled once per configuration.

Judged once per super-frame.

What the rules know of a peer is put together when it is first needed and kept until its credentials
or our configuration change.
"""

from array import array
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.inet.ether import SIZE_ETHERNET
from ztlink.inet.flow import Flow, parse
from ztlink.inet.segment import count, cut, sizes_of
from ztlink.vl2.network import Network
from ztlink.vl2.rule_context import NOBODY, FrameContext
from ztlink.vl2.rules import ACCEPTED, Copy, Decision, TableVerdict, decide_inbound, decide_outbound
from ztlink.vl2.underlay import Underlay
from ztlink.wire.verbs import Verb

UNKNOWN = Address(0)
"""The recipient of a frame that is not decided yet."""
_ACCEPT: Final = TableVerdict.ACCEPT


class Filter:
    """Judges frames."""

    def __init__(self, underlay: Underlay) -> None:
        self._own = underlay.identity.address

    def is_per_segment(self, network: Network, sender: Address | None = None) -> bool:
        """Tell whether frames of a super-frame may be judged differently, `sender`'s or our own."""
        if network.rules.per_segment:
            return True
        programs = () if sender is None else network.remote_programs(sender)
        return any(program.per_segment for program in programs)

    def outbound(
        self,
        network: Network,
        frame: SuperFrame,
        flow: Flow | None,
        recipient: Address | None,
        *,
        no_tee: bool,
    ) -> Decision:
        """Judge a frame that we send; `recipient` is None while it is not known.

        A `flow` of None is read where rules look at it.
        """
        decision = ACCEPTED
        if network.rules.base.constant is not _ACCEPT:
            decision = self._outbound(network, frame, flow, recipient, no_tee=no_tee)
        network.verdicts["tx", decision.accepted] += count(frame) if frame.gso else 1
        return decision

    def _outbound(
        self,
        network: Network,
        frame: SuperFrame,
        flow: Flow | None,
        recipient: Address | None,
        *,
        no_tee: bool,
    ) -> Decision:
        rules = network.rules
        remote = NOBODY if recipient is None else network.remote_party(recipient)
        context = FrameContext(
            frame.buffer,
            parse(frame) if flow is None else flow,
            rules.local,
            remote,
            source=self._own,
            destination=recipient or UNKNOWN,
            is_inbound=False,
        )
        return decide_outbound(context, rules.base, rules.capabilities, no_tee=no_tee)

    def inbound(self, network: Network, sender: Address, frame: SuperFrame) -> Decision:
        """Judge a frame that a peer sent us."""
        decision = ACCEPTED
        if network.rules.base.constant is not _ACCEPT:
            decision = self._inbound(network, sender, frame)
        network.verdicts["rx", decision.accepted] += count(frame) if frame.gso else 1
        return decision

    def _inbound(self, network: Network, sender: Address, frame: SuperFrame) -> Decision:
        rules = network.rules
        context = FrameContext(
            frame.buffer,
            parse(frame),
            rules.local,
            network.remote_party(sender),
            source=sender,
            destination=self._own,
            is_inbound=True,
        )
        return decide_inbound(context, rules.base, network.remote_programs(sender))


def cut_frames(frame: SuperFrame) -> list[SuperFrame]:
    """Return the Ethernet frames that a super-frame stands for."""
    sizes = sizes_of(frame, 0)
    starts = array("I", [sum(sizes[:index]) for index in range(len(sizes))])
    room = memoryview(bytearray(sum(sizes)))
    cut(frame, room, starts, 0)
    return [
        SuperFrame(room[start : start + size]) for start, size in zip(starts, sizes, strict=True)
    ]


def send_copies(
    underlay: Underlay, network: Network, frame: SuperFrame, copies: tuple[Copy, ...], now: Now
) -> None:
    """Send what rules have copied or redirected, as EXT_FRAME with the original MACs."""
    for copy in copies:
        whole = frame.gso is Gso.NONE and not frame.needs_checksum
        for piece in [frame] if whole else cut_frames(frame):
            payload = (
                network.network_id.to_bytes(8, "big")
                + bytes((copy.kind,))
                + bytes(piece.buffer[: SIZE_ETHERNET + copy.size])
            )
            underlay.send(copy.address, Verb.EXT_FRAME, payload, now, compress=True)
