"""Which live network, if any, an operator of these tests has named."""

from collections.abc import Mapping
from typing import NamedTuple


class Live(NamedTuple):
    """A network, and a page that one of its members serves."""

    network_id: str
    url: str


def named_live(environment: Mapping[str, str]) -> Live | None:
    """Return what the environment names; None where it names nothing whole.

    The names of libzt's own tests serve, too, where LIBZT_RUN_ZEROTIER_E2E is 1.
    """
    network_id, url = environment.get("ZTLINK_E2E_NETWORK"), environment.get("ZTLINK_E2E_URL")
    if environment.get("LIBZT_RUN_ZEROTIER_E2E") == "1":
        network_id = network_id or environment.get("LIBZT_ZEROTIER_NWID")
        url = url or environment.get("LIBZT_ZEROTIER_URL")
    return Live(network_id, url) if network_id and url else None
