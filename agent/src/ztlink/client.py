"""Commands talk to a running node here: its local HTTP API, with the token in its home."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ztlink.errors import ZtError

Answer = Any
"""What JSON may hold: the caller knows what it asked for."""

TIMEOUT: Final = 10.0


class NodeUnreachableError(ZtError):
    """There is no node to talk to; the message says what to do."""


class RefusedError(ZtError):
    """The node refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Client:
    """The node of one home."""

    home: Path

    def get(self, path: str) -> Answer:
        """Return what is at a path."""
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Change what is at a path."""
        return self.call("POST", path, body or {})

    def delete(self, path: str) -> Answer:
        """Remove what is at a path."""
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Send a request and return the JSON of the answer."""
        import http.client  # here: whoever only asks what commands there are need not wait for it

        token, port = self._credentials()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, text, {"X-ZT1-Auth": token})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NodeUnreachableError(
                f"no node answers for {self.home} on port {port}: start one with "
                f"'ztlink node --home {self.home}'"
            ) from error
        finally:
            connection.close()
        parsed = _parse(content)
        if answer.status == 404 and "/controller" in path and not self._has_controller(path):
            raise RefusedError(404, "this node is no controller: start it with --controller")
        if answer.status != 200:
            raise RefusedError(answer.status, _reason(answer.status, path, parsed))
        return parsed

    def _has_controller(self, asked: str) -> bool:
        try:
            return asked != "/controller" and bool(self.get("/controller"))
        except RefusedError:
            return False

    def _credentials(self) -> tuple[str, int]:
        try:
            token = (self.home / "authtoken.secret").read_text().strip()
            port = int((self.home / "zerotier-one.port").read_text())
        except PermissionError as error:
            raise NodeUnreachableError(
                f"{error.filename} may not be read: use the account that the node runs as"
            ) from error
        except (OSError, ValueError) as error:
            why = f"no {Path(error.filename).name}" if isinstance(error, OSError) else str(error)
            raise NodeUnreachableError(
                f"{self.home} is not the home of a running node ({why}): start one, or name its "
                "home with --home"
            ) from error
        return token, port


def _parse(content: bytes) -> Answer:
    try:
        return json.loads(content) if content else None
    except json.JSONDecodeError:
        return None


def _absence(path: str) -> str:
    """Say what is not there, and what lists the things that are."""
    match path.strip("/").split("/"):
        case [*_, "controller", "network", network_id, "member", address]:
            return (
                f"there is no member {address} of {network_id}: 'ztlink member list "
                f"{network_id}' lists them"
            )
        case [*_, "controller", "network", network_id] | [*_, "network", network_id, "member"]:
            return f"there is no network {network_id} here: 'ztlink network list' lists them"
        case ["network", network_id]:
            return f"{network_id} is not joined: 'ztlink networks' lists what is"
        case _:
            return f"the node knows no {path}: is it older than this command?"


def _reason(status: int, path: str, parsed: Answer) -> str:
    if isinstance(parsed, dict) and parsed.get("description"):
        return str(parsed["description"])
    if status == 401:
        return "the node does not take the token: read authtoken.secret in its home"
    if status == 404:
        return _absence(path)
    return f"the node answered {status} to {path}: its log says more"
