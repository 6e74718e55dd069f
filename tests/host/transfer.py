"""Sends and receives bytes over TCP, as a program of its own; tells its longest pause.

python transfer.py receive IP PORT BYTES    prints JSON: bytes, digest, pause
python transfer.py send IP PORT BYTES RATE
"""

import hashlib
import json
import random
import socket
import sys
import time
from collections.abc import Iterator

PIECE = 16_384
PATIENCE = 60.0


def pieces(size: int) -> Iterator[bytes]:
    """Yield the bytes that are sent, which are always the same."""
    source = random.Random(size)  # noqa: S311 - not a secret
    for start in range(0, size, PIECE):
        yield source.randbytes(min(PIECE, size - start))


def digest(size: int) -> str:
    """Return the digest of what is sent."""
    found = hashlib.sha256()
    for piece in pieces(size):
        found.update(piece)
    return found.hexdigest()


def receive(address: tuple[str, int], size: int) -> None:
    """Take one connection and all that comes."""
    with socket.create_server(address) as server:
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
    found, count, pause, last = hashlib.sha256(), 0, 0.0, time.monotonic()
    with connection:
        connection.settimeout(PATIENCE)
        while count < size and (piece := connection.recv(PIECE)):
            now = time.monotonic()
            pause, last = max(pause, now - last), now
            found.update(piece)
            count += len(piece)
    print(json.dumps({"bytes": count, "digest": found.hexdigest(), "pause": pause}))


def send(address: tuple[str, int], size: int, rate: float) -> None:
    """Send at so many bytes a second."""
    with socket.create_connection(address, PATIENCE) as connection:
        began, count = time.monotonic(), 0
        for piece in pieces(size):
            connection.sendall(piece)
            count += len(piece)
            time.sleep(max(0.0, began + count / rate - time.monotonic()))


if __name__ == "__main__":
    what, ip, port, amount, *rest = sys.argv[1:]
    if what == "receive":
        receive((ip, int(port)), int(amount))
    else:
        send((ip, int(port)), int(amount), float(rest[0]))
