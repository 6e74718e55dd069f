"""Names on a network: addresses, a table of the program's own, then the network's name servers.

A query goes over the network by UDP to one server after the other, longer each time, and by TCP
where an answer does not fit. Answers are kept for as long as they say, within bounds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from ztlink.aio.errors import NameNotFound
from ztlink.ids import IpAddress
from ztlink.wire.netconf import Dns

if TYPE_CHECKING:
    import dns.message

logger = logging.getLogger(__name__)

DNS_PORT: Final = 53
TIMEOUTS: Final = (0.5, 1.0, 2.0)
"""Seconds for an answer, in the first round over all servers, the second, the third."""
MIN_KEPT: Final = 1.0
MAX_KEPT: Final = 300.0
"""Seconds that an answer is kept, whatever it says."""
MAX_NAMES: Final = 1024

Ask = Callable[[IpAddress, bytes, bool], Awaitable[bytes]]
"""Sends a query to a server, by TCP where the flag is set, and returns the answer."""


@dataclass(frozen=True, slots=True)
class _Kept:
    ips: tuple[IpAddress, ...]
    until: float


class Names:
    """Finds addresses for the names of one network."""

    def __init__(
        self, ask: Ask, servers: Callable[[], Dns], hosts: Mapping[str, IpAddress] | None = None
    ) -> None:
        self._ask = ask
        self._servers = servers
        self._hosts = {name.lower(): ip for name, ip in (hosts or {}).items()}
        self._kept: dict[str, _Kept] = {}

    async def resolve(self, host: str) -> tuple[IpAddress, ...]:
        """Return the addresses of a host, the best first; NameNotFound says why there is none."""
        literal = _literal(host)
        if literal is not None:
            return (literal,)
        name = host.rstrip(".").lower()
        if name in self._hosts:
            return (self._hosts[name],)
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(name)
        if kept is None or kept.until <= now:
            ips, seconds = await self._look_up(name)
            kept = _Kept(ips, now + seconds)
            if len(self._kept) >= MAX_NAMES:
                self._kept.clear()
            self._kept[name] = kept
        if not kept.ips:
            raise NameNotFound(f"{host}: the network's name servers know no address for it")
        return kept.ips

    def forget(self) -> None:
        """Ask for every name anew: there are other name servers now."""
        self._kept.clear()

    async def _look_up(self, name: str) -> tuple[tuple[IpAddress, ...], float]:
        import dns.rdatatype  # late: most programs use addresses

        dns_of = self._servers()
        if not dns_of.servers:
            raise NameNotFound(
                f"{name}: the network has no name servers; use an address, or give hosts="
            )
        qualified = _qualified(name, dns_of)
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        answers = await asyncio.gather(*(self._query(qualified, kind, dns_of) for kind in kinds))
        ips = tuple(ip for found, _ in answers for ip in found)
        seconds = min(seconds for _, seconds in answers)
        return ips, max(MIN_KEPT, min(seconds, MAX_KEPT))

    async def _query(
        self, name: str, kind: "dns.rdatatype.RdataType", dns_of: Dns
    ) -> tuple[tuple[IpAddress, ...], float]:
        import dns.exception
        import dns.flags
        import dns.message

        try:
            query = dns.message.make_query(name, kind)
        except dns.exception.DNSException as error:
            raise NameNotFound(f"{name} is no name: {error}") from error
        for timeout in TIMEOUTS:
            for server in dns_of.servers:
                try:
                    async with asyncio.timeout(timeout):
                        answer = await self._exchange(server, query, is_stream=False)
                        if answer.flags & dns.flags.TC:
                            answer = await self._exchange(server, query, is_stream=True)
                except (OSError, EOFError, dns.exception.DNSException) as error:
                    logger.debug("no answer server=%s name=%s error=%r", server, name, error)
                    continue
                return _addresses(answer)
        servers = ", ".join(map(str, dns_of.servers))
        raise NameNotFound(f"{name}: no answer from the network's name servers ({servers})")

    async def _exchange(
        self, server: IpAddress, query: "dns.message.Message", *, is_stream: bool
    ) -> "dns.message.Message":
        import dns.message

        content = await self._ask(server, query.to_wire(), is_stream)
        answer = dns.message.from_wire(content, ignore_trailing=True)
        if not query.is_response(answer):
            raise OSError("an answer to another question")
        return answer


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _qualified(name: str, dns_of: Dns) -> str:
    """Return the whole name: one without a dot is of the network's domain."""
    domain = dns_of.domain.decode("ascii", errors="replace").strip(".")
    return f"{name}.{domain}" if domain and "." not in name else name


def _addresses(answer: "dns.message.Message") -> tuple[tuple[IpAddress, ...], float]:
    import dns.exception
    import dns.message
    import dns.rcode

    is_good = answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    if not is_good or not isinstance(answer, dns.message.QueryMessage):
        return (), 0.0
    try:
        chain = answer.resolve_chaining()
    except dns.exception.DNSException:  # a chain without an end, or none at all
        return (), 0.0
    found = chain.answer or ()
    return tuple(ip_address(item.address) for item in found), float(chain.minimum_ttl)
