"""Takes away the tables that agents left: found by their names, no agent is needed."""

import errno

from ztlink.host.firewall.wanted import TABLE
from ztlink.host.nft import Nft, NftError


def remove_all(table: str | None = None, nft: Nft | None = None) -> tuple[str, ...]:
    """Take away what agents left, be one running or not: a table, else all of ours; return which.

    NftError where that is refused; where there is no `nft`, there is nothing to take away.
    """
    nft = nft or Nft()
    try:
        found = [one for one in nft.tables() if one == table or (table is None and _is_ours(one))]
    except NftError as error:
        if error.errno == errno.ENOENT:
            return ()
        raise
    for one in found:
        nft.remove(one)
    return tuple(found)


def _is_ours(table: str) -> bool:
    return table == TABLE or table.startswith(f"{TABLE}-")
