"""Where the YAML says that health and metrics are served."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from ztlink.config.fields import IpOrNothing, Port
from ztlink.errors import ConfigError
from ztlink.settings import DEFAULT_HEALTH_PORT, HealthSettings
from ztlink.yaml_file import Model

HOST_IP: Final = "HOST_IP"
"""The variable with the address of the machine that a pod runs on (downward API)."""


class HealthEntry(Model):
    """Where health and metrics are served."""

    enabled: bool = True
    port: Port = DEFAULT_HEALTH_PORT
    address: IpOrNothing = ""

    def settings(self, environment: Mapping[str, str]) -> HealthSettings | None:
        """Return what it means; None for not at all."""
        if not self.enabled:
            return None
        try:
            ip = ip_address(self.address or environment.get(HOST_IP) or "127.0.0.1")
        except ValueError as error:
            raise ConfigError(f"{HOST_IP} in the environment: {error}") from error
        return HealthSettings(ip, self.port)
