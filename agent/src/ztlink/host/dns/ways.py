"""All ways to have names asked, the best first; and what is taken away without a node."""

from ztlink.host.dns.file import ResolvConf
from ztlink.host.dns.resolvconf import Resolvconf
from ztlink.host.dns.resolved import Resolved
from ztlink.host.dns.way import Way

_NOBODY = ""


def ways_of(owner: str) -> tuple[Way, ...]:
    """Return the ways for a node, by its address."""
    return Resolved(), Resolvconf(owner), ResolvConf(owner)


def remove_all() -> tuple[str, ...]:
    """Take away what nodes have left; return where there was something. HostError as they say."""
    found = (Resolvconf(_NOBODY), ResolvConf(_NOBODY))
    return tuple(one.name for one in found if one.remove_all())
