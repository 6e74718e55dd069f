"""Writes records without end, and says of each that it is kept: for tests that kill it.

python -m tests.host.record_writer DATABASE COPY
"""

import itertools
import sys
from pathlib import Path
from typing import Final

from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore, copy_database
from ztlink.ids import Address, NetworkId

NETWORK: Final = NetworkId(0x7CE8165A4F000001)
MEMBERS: Final = 50
GROUP: Final = 5
"""Members that change as one."""


def name_of(number: int) -> str:
    return f"{number:012}"


def write(store: ControllerStore, copy: Path) -> None:
    """Count up; a number is said when it is kept, with all that belongs to it."""
    first = max((int(n.name or "0") for n in store.networks()), default=0) + 1
    for number in itertools.count(first):
        network = NetworkRecord(NETWORK, 1, name=name_of(number), revision=number)
        group = range(number * GROUP % MEMBERS, number * GROUP % MEMBERS + GROUP)
        with store.transaction():
            store.put_network(network)
            for address in group:
                member = MemberRecord(NETWORK, Address(address + 1), 1, name=name_of(number))
                store.put_member(member)
            store.raise_ceiling(number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        if number % 50 == 0:
            copy_database(Path(sys.argv[1]), copy)
            store.restore(copy)


if __name__ == "__main__":
    write(ControllerStore(Path(sys.argv[1])), Path(sys.argv[2]))
