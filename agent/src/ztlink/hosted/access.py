"""Where a controller that is elsewhere is asked, and with which token.

The token comes by the environment or in a file, never as an argument, which every user of a machine
could read. This is the only place that reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ztlink.errors import ConfigError

CENTRAL: Final = "https://api.zerotier.com/api/v1"
CENTRAL_PATH: Final = "/api/v1"
TOKEN: Final = "ZEROTIER_API_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE: Final = "ZEROTIER_API_TOKEN_FILE"  # noqa: S105


@dataclass(frozen=True, slots=True)
class HostedAccess:
    """A controller's API, and the token for it."""

    url: str
    """Without a slash at its end."""
    token: str = field(repr=False)
    is_central: bool = False
    """It speaks as ZeroTier Central does, not as a controller itself."""

    @property
    def is_exposed(self) -> bool:
        """The token crosses a network in clear."""
        return self.url.startswith("http://") and not _is_loopback(self.url)


def read_access(api: str, environment: Mapping[str, str]) -> HostedAccess:
    """Take `central`, or a URL; ConfigError where it is none, or where there is no token.

    A URL that ends in /api/v1 is one of Central's kind, any other that of a controller itself.
    """
    url = CENTRAL if api == "central" else api.rstrip("/")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or parts.username or parts.query or parts.fragment:
        raise ConfigError(
            f"{api} is no API's URL: say `central`, or one such as http://192.0.2.1:9993"
        )
    access = HostedAccess(url, _read_token(environment), parts.path.endswith(CENTRAL_PATH))
    if access.is_central and access.is_exposed:
        raise ConfigError(f"{api} would show the token to everybody on the way: use https")
    return access


def without_token(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for programs that have no need to know the token.

    What `make` was told on its command line stands in its flags, too.
    """
    hidden = (TOKEN, TOKEN_FILE, "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")
    return {name: text for name, text in environment.items() if name not in hidden}


def _read_token(environment: Mapping[str, str]) -> str:
    direct, file = environment.get(TOKEN, ""), environment.get(TOKEN_FILE, "")
    if direct and file:
        raise ConfigError(f"both {TOKEN} and {TOKEN_FILE} are set: which of them counts?")
    if not direct and not file:
        raise ConfigError(
            f"no token: set {TOKEN}, or {TOKEN_FILE} to the name of a file that holds it"
            " (an API token of Central, or a controller's authtoken.secret)"
        )
    source = TOKEN if direct else file
    try:
        token = direct.strip() if direct else Path(file).read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {file}, the {TOKEN_FILE}: {error.strerror}") from error
    except UnicodeDecodeError:
        token = ""
    if not token or not all("!" <= character <= "~" for character in token):
        raise ConfigError(f"{source} holds no token: it should be one word, letters and digits")
    return token


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
