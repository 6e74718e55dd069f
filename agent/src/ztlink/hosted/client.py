"""Members of a network, by the API of a controller that is elsewhere.

ZeroTier Central and a controller itself name networks and members alike, and differ in the header
for the token and in where a member says that it is let in. Requests keep a distance from each
other, below the rate that Central grants; refusals that may pass are tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp

from ztlink.errors import ZtError
from ztlink.hosted.access import HostedAccess
from ztlink.http_session import HttpSession
from ztlink.retries import PASSING, PassingError, Retries, read_retry_after

Json = dict[str, Any]

PATIENCE: Final = 30.0
"""Seconds for which a request is tried again."""
FIRST_PAUSE: Final = 0.5
DISTANCE: Final = 1 / 15
"""Seconds between requests: Central grants 20 a second to accounts that do not pay."""
REQUEST_TIMEOUT: Final = 15.0
_CONTROLLER_REMEDY: Final = (
    "see whether it runs, and whether allowManagementFrom of its local.conf names this machine"
)
MAX_WORDS: Final = 200
"""Of an answer that is repeated in a complaint."""


class HostedError(ZtError):
    """The API refused a request, or cannot be reached; the message says what to do."""


class HostedClient(HttpSession):
    """A connection to the API, for one network; an asynchronous context."""

    def __init__(
        self,
        access: HostedAccess,
        network_id: str,
        read_time: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        patience: float = PATIENCE,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._access = access
        self._network_id = network_id
        self._read_time = read_time
        self._retries = Retries(read_time, random_bytes, patience, first_pause)
        self._next_at = 0.0

    def _open(self) -> aiohttp.ClientSession:
        access = self._access
        name, value = "X-ZT1-Auth", access.token
        if access.is_central:
            name, value = "Authorization", f"token {access.token}"
        return aiohttp.ClientSession(
            headers={name: value, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
            # To HTTPS alone: a proxy for HTTP would be shown the token.
            trust_env=access.url.startswith("https://"),
        )

    async def check_network(self) -> None:
        """Return if the network is there and the token is good for it."""
        if await self._call("GET", self._network_path()) is None:
            raise HostedError(
                f"{self._access.url} has no network {self._network_id}: check the id,"
                f" and whose the token is"
            )

    async def is_authorized(self, address: str) -> bool | None:
        """Say whether a member is let in; None where it has never asked."""
        member = await self._call("GET", self._member_path(address))
        return None if member is None else self._reads_authorized(member)

    async def authorize(self, address: str) -> None:
        """Let a member in, also one that has not asked yet."""
        wish: Json = {"authorized": True}
        path = self._member_path(address)
        member = await self._call(
            "POST", path, {"config": wish} if self._access.is_central else wish
        )
        if member is None or not self._reads_authorized(member):
            raise HostedError(f"{self._access.url} took {address}, but did not let it in")

    def _reads_authorized(self, member: Json) -> bool:
        holder = member.get("config") if self._access.is_central else member
        return isinstance(holder, dict) and holder.get("authorized") is True

    def _network_path(self) -> str:
        above = "" if self._access.is_central else "/controller"
        return f"{above}/network/{self._network_id}"

    def _member_path(self, address: str) -> str:
        return f"{self._network_path()}/member/{address}"

    # -- requests

    async def _call(self, method: str, path: str, body: Json | None = None) -> Json | None:
        def ask() -> Awaitable[Json | None]:
            return self._ask(method, path, body)

        try:
            return await self._retries.run(f"{method} {path}", ask)
        except PassingError as error:
            remedy = "try again later" if self._access.is_central else _CONTROLLER_REMEDY
            raise HostedError(f"{self._access.url}: {error}; {remedy}") from error

    async def _ask(self, method: str, path: str, body: Json | None) -> Json | None:
        await self._keep_distance()
        url = f"{self._access.url}{path}"
        try:
            # Not to where a redirect leads: nobody else is to see the token.
            async with self._session.request(
                method, url, json=body, allow_redirects=False
            ) as answer:
                return await self._read_answer(answer, f"{method} {url}")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise HostedError(
                f"{self._access.url} does not prove who it is: {error}; it was not shown the token"
            ) from error
        except aiohttp.InvalidURL as error:
            raise HostedError(f"{url} is no URL") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PassingError(str(error) or "no answer in time") from error

    async def _keep_distance(self) -> None:
        now = self._read_time()
        start = max(now, self._next_at)
        self._next_at = start + DISTANCE
        await asyncio.sleep(start - now)

    async def _read_answer(self, answer: aiohttp.ClientResponse, what: str) -> Json | None:
        if answer.status in PASSING:
            after = read_retry_after(answer.headers.get("Retry-After", ""))
            raise PassingError(_passing(answer.status), after)
        if answer.status == 404:
            return None
        text = (await answer.read()).decode(errors="replace")
        content = await _parse(answer)
        if answer.status >= 300:
            raise HostedError(self._refusal(answer.status, what, content, text))
        if not isinstance(content, dict):
            raise HostedError(f"{what}: the answer is no JSON object: is this the API's URL?")
        return content

    def _unauthorized(self) -> str:
        why = "is it complete, and still valid?"
        if not self._access.is_central:  # it answers so to strangers, too
            why = "is it that of authtoken.secret, and are we in its allowManagementFrom?"
        return f"{self._access.url} does not take the token: {why}"

    def _refusal(self, status: int, what: str, content: object, text: str) -> str:
        if status == 401:
            return self._unauthorized()
        said = _complaint(content) or text.strip()[:MAX_WORDS]
        if status == 403:
            return (
                f"the token may not do this in network {self._network_id} (403 {said}): use one of"
                " an account that may authorise members there"
            )
        if status < 400:
            return f"{what}: answered by a redirect ({status}): use the URL that it leads to"
        return f"{what}: {said or 'refused'} (status {status})"


async def _parse(answer: aiohttp.ClientResponse) -> object:
    try:
        return await answer.json(content_type=None)
    except ValueError:
        return None


def _complaint(content: object) -> str:
    """Return what an API says of an error, by the names that such fields have."""
    if not isinstance(content, dict):
        return ""
    named = (content.get(key) for key in ("message", "description", "error"))
    return next((text for text in named if isinstance(text, str) and text), "")[:MAX_WORDS]


def _passing(status: int) -> str:
    if status == 429:
        return "too many requests of this account (429)"
    return f"it is out of order (status {status})"
