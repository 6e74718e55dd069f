"""Takes away the tables that agents left: found by their names, no agent is needed."""

import errno
from collections.abc import Iterable

from ztlink.host.firewall.claim import holder_of
from ztlink.host.firewall.wanted import TABLE
from ztlink.host.nft import Nft, NftError


def remove_all(table: str | None = None, nft: Nft | None = None) -> tuple[str, ...]:
    """Take away what agents left: a table, else all of ours; return which.

    NftError where that is refused, or an agent that runs holds one; where there is no `nft`, there
    is nothing to take away.
    """
    nft = nft or Nft()
    found = [one for one in tables_of_agents(nft) if table in (None, one)]
    require_no_holder(found)
    for one in found:
        nft.remove(one)
    return tuple(found)


def tables_of_agents(nft: Nft) -> list[str]:
    """Return the tables that are there of any agent."""
    try:
        return [one for one in nft.tables() if one == TABLE or one.startswith(f"{TABLE}-")]
    except NftError as error:
        if error.errno == errno.ENOENT:
            return []
        raise


def require_no_holder(tables: Iterable[str]) -> None:
    """NftError where an agent that runs holds one of these tables."""
    for one in tables:
        holder = holder_of(one)
        if holder is not None:
            raise NftError(
                errno.EBUSY,
                f"an agent is running, process {holder}, and holds the table {one}",
                "stop it first",
            )
