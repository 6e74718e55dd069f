"""Measures what declared routes cost: made, compared, repaired and taken away.

    python -m tests.bench.bench_routes [COUNT]

Run from the top of the repository, as root: it works in a network namespace of its own. All is
counted from the settings on: resolving, the preflight, the kernel's lists, and what it is told.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

from tests.host.machine import ip, own_namespace
from tests.host.route_keeper import many
from tests.host.routed import NETWORK, device, settings
from ztlink.host.routes.reconcile import Reconciler

_COUNT: Final = 10_000
_ROUNDS: Final = 3


def measure(count: int) -> dict[str, float]:
    """Return the seconds of each step."""
    wanted = settings(*many(count))
    with own_namespace(), device() as port:
        reconciler, overlays = Reconciler(), {NETWORK: port.overlay}

        def timed(work: Callable[[], object]) -> float:
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

        def reconcile() -> object:
            return reconciler.reconcile(wanted, overlays)

        seconds = {"made": timed(reconcile), "compared, all well": timed(reconcile)}
        ip("route", "flush", "proto", "91")
        seconds["made again after a flush"] = timed(reconcile)
        seconds["taken away"] = timed(reconciler.remove_all)
        reconciler.close()
    return seconds


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else _COUNT
    rounds = [measure(count) for _ in range(_ROUNDS)]
    print(f"{count} routes, seconds, best of {_ROUNDS}")
    for step in rounds[0]:
        print(f"  {step:26} {min(one[step] for one in rounds):6.3f}")


if __name__ == "__main__":
    main()
