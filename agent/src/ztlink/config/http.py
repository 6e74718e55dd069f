"""What the YAML says of HTTP, and of the series that are served there."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Literal

from ztlink.config.environment import HOST_IP
from ztlink.config.fields import Port
from ztlink.errors import ConfigError
from ztlink.settings import DEFAULT_HTTP_PORT, Expose, HttpSettings, MetricsSettings
from ztlink.yaml_file import IpOrNothing, Model


class HttpEntry(Model):
    """Where health, metrics, the page and the status are served, and to whom."""

    enabled: bool = True
    port: Port = DEFAULT_HTTP_PORT
    address: IpOrNothing = ""
    """Empty for HOST_IP of the environment, else 127.0.0.1."""
    expose: Literal["health", "all"] = "health"

    def settings(self, environment: Mapping[str, str]) -> HttpSettings | None:
        """Return what it means; None for not at all."""
        if not self.enabled:
            return None
        try:
            ip = ip_address(self.address or environment.get(HOST_IP) or "127.0.0.1")
        except ValueError:
            raise ConfigError(
                f"{HOST_IP} in the environment: {environment[HOST_IP]!r}: should be an IP address"
            ) from None
        return HttpSettings(ip, self.port, Expose(self.expose))


class MetricsEntry(Model):
    """Which series are made."""

    per_peer: bool = False
    compat: Literal["", "zt"] = ""
    """`zt` for the original's names, too."""

    def settings(self) -> MetricsSettings:
        """Return what it means."""
        return MetricsSettings(self.per_peer, self.compat == "zt")
