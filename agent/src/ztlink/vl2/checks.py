"""How many signatures a node may have us check in vain (wire.adoc#checks).

A check costs some 0.1 ms, and anybody may show us credentials and pieces of configurations. What
turns out good costs its sender nothing: only the controller makes such, and each is checked once.
So a node whose papers are in order is never refused, however many it has. Who has shown something
bad is given a small budget of such failures, and all of these nodes together another.
"""

from typing import Final

from ztlink.budget import Budget, Budgets
from ztlink.clock import Now
from ztlink.ids import Address

FAILURES_PER_SECOND: Final = 2.0
"""Of one sender."""
FAILURES_BURST: Final = 32.0
ALL_FAILURES_PER_SECOND: Final = 200.0
"""Of all senders: two percent of the CPU."""
ALL_FAILURES_BURST: Final = 400.0
MAX_SENDERS: Final = 65_536
"""As many as there may be peers: nobody is forgotten for the sake of others while it is one."""


class SignatureChecks:
    """Who has had signatures checked in vain."""

    def __init__(self) -> None:
        self._all = Budget(ALL_FAILURES_PER_SECOND, ALL_FAILURES_BURST)
        self._senders: Budgets[Address] = Budgets(FAILURES_PER_SECOND, FAILURES_BURST, MAX_SENDERS)
        """Of those who have."""

    def __len__(self) -> int:
        return len(self._senders)

    def allows(self, sender: Address, now: Now) -> bool:
        """Tell whether what a node shows is worth a check."""
        own = self._senders.find(sender)
        return own is None or (own.has_one(now) and self._all.has_one(now))

    def in_vain(self, sender: Address, count: float, now: Now) -> None:
        """Note that signatures were checked, and nothing came of it."""
        self._senders.charge(sender, count, now)
        self._all.charge(count, now)
