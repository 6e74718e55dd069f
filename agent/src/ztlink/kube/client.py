"""A small client of the Kubernetes API: get, find, create, replace, patch, with our pod's account.

Refusals that may pass (a connection that breaks, 429, 5xx) are tried again until the patience ends.
A request that changes something may have been done although its answer was lost, so a caller takes
`ConflictError` as news of the state, not as failure: look again, and decide anew.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from ztlink.errors import ConfigError, ZtError
from ztlink.http_session import HttpSession
from ztlink.retries import PASSING, PassingError, Retries, read_retry_after
from ztlink.settings import ClusterAccess

Json = dict[str, Any]

PATIENCE: Final = 60.0
"""Seconds for which a request is tried again."""
FIRST_PAUSE: Final = 0.2
REQUEST_TIMEOUT: Final = 10.0
PAGE: Final = 500
"""Objects that are asked for at once."""


class KubeError(ZtError):
    """The cluster's API refused a request, or cannot be reached."""


class ConflictError(KubeError):
    """An object is there already, or was changed since it was read."""


class KubeClient(HttpSession):
    """A connection to the API; an asynchronous context."""

    def __init__(
        self,
        access: ClusterAccess,
        read_time: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        patience: float = PATIENCE,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._access = access
        self._retries = Retries(read_time, random_bytes, patience, first_pause)

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=_context(self._access))
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        return aiohttp.ClientSession(connector=connector, timeout=timeout)

    async def get(self, path: str) -> Json | None:
        """Return an object; None where there is none."""
        return await self._call("GET", path, None)

    async def create(self, path: str, body: Json) -> Json:
        """Make an object of a collection; ConflictError where it is there already."""
        return _present(await self._call("POST", path, body), "POST", path)

    async def replace(self, path: str, body: Json) -> Json:
        """Replace an object; ConflictError where its resourceVersion is not the newest."""
        return _present(await self._call("PUT", path, body), "PUT", path)

    async def find(self, path: str, labels: Mapping[str, str]) -> list[Json]:
        """Return the objects of a collection that have these labels."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        query["limit"] = str(PAGE)
        found: list[Json] = []
        while True:
            page = await self._call("GET", f"{path}?{urlencode(query)}", None)
            content = _present(page, "GET", path)
            found += content["items"]
            query["continue"] = content["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    async def patch(self, path: str, change: Json) -> Json | None:
        """Change those fields of an object that `change` has; None where there is no object."""
        return await self._call("PATCH", path, change)

    async def _call(self, method: str, path: str, body: Json | None) -> Json | None:
        def ask() -> Awaitable[Json | None]:
            return self._ask(method, path, body)

        try:
            return await self._retries.run(f"{method} {path}", ask)
        except PassingError as error:
            patience = self._retries.patience
            raise KubeError(f"{method} {path}: {error}, for {patience:g} s") from error

    async def _ask(self, method: str, path: str, body: Json | None) -> Json | None:
        headers = {"Authorization": f"Bearer {_read(self._access)}", "Accept": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        url = f"{self._access.url}{path}"
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                return await self._read_answer(answer, f"{method} {path}")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise KubeError(
                f"{self._access.url} does not prove to be the cluster's API by {self._access.ca}: "
                f"{error}"
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PassingError(str(error) or "no answer in time") from error

    async def _read_answer(self, answer: aiohttp.ClientResponse, what: str) -> Json | None:
        if answer.status in PASSING:
            raise PassingError(
                f"status {answer.status}", read_retry_after(answer.headers.get("Retry-After", ""))
            )
        try:
            content = await answer.json(content_type=None)
        except ValueError as error:
            raise KubeError(f"{what}: the answer is not JSON (status {answer.status})") from error
        if not isinstance(content, dict):
            raise KubeError(f"{what}: the answer is no object (status {answer.status})")
        if answer.status == 404 and what.startswith(("GET ", "PATCH ")):
            return None
        if answer.status >= 300:
            raise _refusal(answer.status, what, str(content.get("message", "")))
        return content


def _refusal(status: int, what: str, message: str) -> KubeError:
    if status == 409:
        return ConflictError(f"{what}: {message}")
    if status == 401:
        return KubeError(f"{what}: the API does not take our token: is the ServiceAccount gone?")
    if status == 403:
        return KubeError(f"{what}: {message}: the Role of our ServiceAccount must allow it")
    return KubeError(f"{what}: {message or 'refused'} (status {status})")


def _present(content: Json | None, method: str, path: str) -> Json:
    if content is None:
        raise KubeError(f"{method} {path}: no answer")
    return content


def _context(access: ClusterAccess) -> ssl.SSLContext | bool:
    if access.url.startswith("http://"):
        return True
    try:
        return ssl.create_default_context(cafile=access.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the cluster's certificate {access.ca}: {error}") from error


def _read(access: ClusterAccess) -> str:
    try:
        return access.token.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {access.token}: {error.strerror}") from error
