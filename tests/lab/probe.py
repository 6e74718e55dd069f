"""Plain HTTP into a namespace, as a kubelet or Prometheus would ask."""

import json
import socket
from http.client import HTTPConnection, HTTPException

from tests.lab.api import JsonObject
from tests.lab.errors import LabError
from tests.lab.lab import Host

_TIMEOUT = 10.0


class Probe:
    """Asks for what a host serves at its own address."""

    def __init__(self, host: Host, port: int, ip: str = "") -> None:
        """Make one for a port of a host, at its own address unless `ip` says another."""
        self._host = host
        self._address = (ip or str(host.v4.ip), port)

    def exchange(self, path: str) -> tuple[int, str]:
        """GET; return status and text; status 0 where nobody listens."""
        connection = HTTPConnection(*self._address, timeout=_TIMEOUT)
        connection.sock = self._host.namespace.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(_TIMEOUT)
            connection.sock.connect(self._address)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def status(self, path: str) -> int:
        """GET; return the status alone."""
        return self.exchange(path)[0]

    def json(self, path: str) -> JsonObject:
        """GET an object, whatever the status."""
        content = json.loads(self.exchange(path)[1] or "{}")
        if not isinstance(content, dict):
            raise LabError(f"GET {path}: not an object: {content!r}")
        return content
