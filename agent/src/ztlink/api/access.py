"""Who may speak to the local API: by an address or a name of this machine, with a token.

Tokens are compared in constant time and never logged. A name that is not ours in the Host header is
a page that had its own name point to 127.0.0.1: it is refused before its token is looked at.
"""

import hmac
from ipaddress import ip_address
from typing import Final

from aiohttp import web

METRICS_PATH: Final = "/metrics"
OPEN_PATHS: Final = frozenset({"/health", "/sso"})
_OUR_NAMES: Final = frozenset({"", "localhost"})


def is_local_host(header: str) -> bool:
    """Tell whether a Host header names an address or this machine, not some name on the net."""
    name = header.strip()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") < 2:
        name = name.partition(":")[0]
    if name.lower() in _OUR_NAMES:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_authorized(request: web.Request, token: bytes, metrics_token: bytes) -> bool:
    """Tell whether a request shows the token that its path needs."""
    if request.path in OPEN_PATHS:
        return True
    shown = _shown_token(request).encode(errors="replace")
    good = hmac.compare_digest(shown, token)
    if request.path == METRICS_PATH:
        good |= hmac.compare_digest(shown, metrics_token)
    return good


def _shown_token(request: web.Request) -> str:
    """Return the token of the header, else of the query, else of the bearer."""
    shown = request.headers.get("X-ZT1-Auth") or request.query.get("auth")
    if shown:
        return shown
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""
