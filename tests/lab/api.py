"""The local HTTP API of a node, spoken from outside its namespace."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from tests.lab.errors import LabError
from tests.lab.namespace import Namespace

JsonObject = dict[str, Any]
_TIMEOUT: Final = 10.0


class ApiError(LabError):
    """The API answered with something else than 200."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request}: {status} {body[:200]}")
        self.status = status


class LocalApi:
    """A client; one connection for each request."""

    def __init__(self, namespace: Namespace, port: int, token_file: Path) -> None:
        self._namespace = namespace
        self._port = port
        self._token_file = token_file

    def get(self, path: str) -> JsonObject:
        """GET an object."""
        return _object(path, self.request("GET", path))

    def get_list(self, path: str) -> list[JsonObject]:
        """GET an array of objects."""
        answer = self.request("GET", path)
        if not isinstance(answer, list):
            raise LabError(f"GET {path}: not an array: {answer!r}")
        return answer

    def post(self, path: str, body: JsonObject) -> JsonObject:
        """POST an object and return the object that comes back."""
        return _object(path, self.request("POST", path, body))

    def delete(self, path: str) -> JsonObject:
        """DELETE and return the object that comes back."""
        return _object(path, self.request("DELETE", path))

    def request(self, method: str, path: str, body: JsonObject | None = None) -> object:
        """Send a request and return the decoded answer; ApiError unless it is 200."""
        status, text = self.exchange(method, path, body)
        if status != 200:
            raise ApiError(f"{method} {path}", status, text)
        return json.loads(text)

    def exchange(
        self, method: str, path: str, body: JsonObject | None = None, token: str | None = None
    ) -> tuple[int, str]:
        """Send a request and return status and text; LabError if nobody answers."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        sock = self._namespace.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.sock = sock
        try:
            sock.settimeout(_TIMEOUT)
            sock.connect(("127.0.0.1", self._port))
            secret = self._token_file.read_text().strip() if token is None else token
            headers = {"X-ZT1-Auth": secret, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, HTTPException) as error:
            raise LabError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()


def _object(path: str, answer: object) -> JsonObject:
    if not isinstance(answer, dict):
        raise LabError(f"{path}: not an object: {answer!r}")
    return answer
