"""The rules of a network applied to its frames."""

from dataclasses import dataclass
from enum import IntEnum

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.inet.flow import Flow
from ztlink.vl2.network import Network
from ztlink.vl2.underlay import Underlay


class Acceptance(IntEnum):
    DROP = 0
    ACCEPT = 1
    SUPER_ACCEPT = 2


@dataclass(frozen=True, slots=True)
class Decision:
    acceptance: Acceptance = Acceptance.ACCEPT
    copies: tuple[()] = ()

    @property
    def accepted(self) -> bool:
        return self.acceptance is not Acceptance.DROP


class Filter:
    def __init__(self, underlay: Underlay) -> None:
        pass

    def is_per_segment(self, network: Network) -> bool:
        return False

    def pieces(self, frame: SuperFrame) -> list[SuperFrame]:
        return [frame]

    def outbound(self, network: Network, frame: SuperFrame, flow: Flow, target: Address | None, *, no_tee: bool) -> Decision:
        return Decision()

    def inbound(self, network: Network, sender: Address, frame: SuperFrame, flow: Flow) -> Decision:
        return Decision()


def send_copies(underlay: Underlay, network: Network, frame: SuperFrame, copies: tuple[()], now: Now) -> None:
    pass
