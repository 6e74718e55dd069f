"""A small HTTP/2 server, for whatever has `create_server`: it answers with what it was sent."""

import asyncio
from collections import defaultdict
from typing import Final

import h2.config
import h2.connection
import h2.events

from tests.lab.pages import md5

LARGE: Final = bytes(range(256)) * 8192
"""Two megabytes: more than any window of HTTP/2 at its start."""


class Http2Server(asyncio.Protocol):
    """One connection: GET yields the large body, anything else the digest of what came."""

    def __init__(self) -> None:
        settings = h2.config.H2Configuration(client_side=False)
        self._connection = h2.connection.H2Connection(settings)
        self._methods: dict[int, str] = {}
        self._bodies: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._unsent: dict[int, memoryview] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connection.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        for event in self._connection.receive_data(data):
            self._take(event)
        for stream in tuple(self._unsent):
            self._send(stream)
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                headers = {bytes(name): bytes(value) for name, value in event.headers}
                self._methods[event.stream_id] = headers[b":method"].decode()
            case h2.events.DataReceived():
                self._bodies[event.stream_id] += event.data
                self._connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            case h2.events.StreamEnded():
                self._answer(event.stream_id)
            case h2.events.StreamReset():
                self._unsent.pop(event.stream_id, None)

    def _answer(self, stream: int) -> None:
        body = LARGE
        if self._methods.pop(stream) != "GET":
            body = md5(bytes(self._bodies.pop(stream))).encode()
        headers = [(":status", "200"), ("content-length", str(len(body)))]
        self._connection.send_headers(stream, headers)
        self._unsent[stream] = memoryview(body)

    def _send(self, stream: int) -> None:
        """Send what the client's windows let through."""
        body = self._unsent[stream]
        while body:
            room = self._connection.local_flow_control_window(stream)
            size = min(room, self._connection.max_outbound_frame_size, len(body))
            if size == 0:
                break
            self._connection.send_data(stream, bytes(body[:size]), end_stream=size == len(body))
            body = body[size:]
        self._unsent[stream] = body
        if not body:
            del self._unsent[stream]

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(self._connection.data_to_send())
