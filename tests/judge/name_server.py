"""A name server of the kernel's side, by UDP with truncation and by TCP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.judge.field import Field
from ztlink.aio.names import DNS_PORT

PLAIN_SIZE: Final = 512
"""Bytes of an answer by UDP to who does not say that it takes more (RFC 1035 4.2.1)."""
TTL: Final = 60


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone."""

    def __init__(self, records: Mapping[tuple[str, str], tuple[str, ...]]) -> None:
        """Make it of records, by whole name and type."""
        self._records = records
        self.by_udp = 0
        self.by_tcp = 0

    def answer(self, content: bytes, size: int | None) -> bytes:
        """Return the answer to a query; truncated where it is longer than both allow."""
        query = dns.message.from_wire(content)
        response = dns.message.make_response(query)
        name, kind = query.question[0].name, query.question[0].rdtype
        self._find(response, name, kind)
        if size is not None and query.edns >= 0:
            size = query.payload
        try:
            return response.to_wire(max_size=size or 0xFFFF)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _find(
        self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> None:
        text = name.to_text()
        if not any(text == known for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        for found in ("CNAME", kind.name):
            values = self._records.get((text, found))
            if values:
                response.answer.append(dns.rrset.from_text(name, TTL, "IN", found, *values))
                if found == "CNAME":
                    self._find(response, dns.name.from_text(values[0]), kind)

    # -- UDP ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # it does not say so

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        self.by_udp += 1
        self._transport.sendto(self.answer(data, PLAIN_SIZE), addr)

    # -- TCP ---------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query."""
        self.by_tcp += 1
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = self.answer(await reader.readexactly(size), None)
        writer.write(len(answer).to_bytes(2, "big") + answer)
        await reader.read()  # until the client ends
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def serving(server: NameServer, field: Field) -> AsyncIterator[None]:
    """Have a name server answer on the kernel's address."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: server, sock=field.bound(socket.SOCK_DGRAM, port=DNS_PORT)
    )
    streams = await asyncio.start_server(
        server.serve, sock=field.bound(socket.SOCK_STREAM, port=DNS_PORT)
    )
    yield
    transport.close()
    streams.close()
    await streams.wait_closed()
