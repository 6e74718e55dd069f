"""The YAML of `ztlink bootstrap` and `ztlink retire`, and how a pod reaches its cluster's API."""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ztlink.errors import ConfigError
from ztlink.ids import Endpoint
from ztlink.settings import BootstrapSettings, ClusterAccess, RetireSettings
from ztlink.wire.world import MAX_ENDPOINTS
from ztlink.yaml_file import IpOrNothing, Model, read_yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("should be the name of a Kubernetes object: a-z, 0-9, '-' and '.'")
    return value


def parse_endpoint(text: str) -> Endpoint:
    """Read IP/PORT; ValueError says what is wrong."""
    ip, _, port = text.rpartition("/")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("should be IP/PORT such as 192.0.2.5/9993")
    try:
        return Endpoint(ip_address(ip), int(port))
    except ValueError as error:
        raise ValueError(f"should be IP/PORT such as 192.0.2.5/9993: {error}") from error


def _endpoint(value: str) -> str:
    return str(parse_endpoint(value))


Name = Annotated[str, AfterValidator(_name)]


class BootstrapFile(Model):
    """All that such a file may say."""

    namespace: Name
    secret_name: Name
    world_config_map_name: Name
    network_config_map_name: Name
    endpoints: Annotated[
        list[Annotated[str, AfterValidator(_endpoint)]],
        Field(min_length=1, max_length=MAX_ENDPOINTS),
    ]
    labels: dict[str, str] = Field(default_factory=dict)


def read_bootstrap(file: Path) -> BootstrapSettings:
    """Return what a file says; ConfigError names all that is wrong in it."""
    read = read_yaml(file, BootstrapFile)
    return BootstrapSettings(
        read.namespace,
        read.secret_name,
        read.world_config_map_name,
        read.network_config_map_name,
        tuple(dict.fromkeys(parse_endpoint(text) for text in read.endpoints)),
        read.labels,
    )


class HealthEntry(Model):
    """Where agents serve health: in the words of their own file."""

    enabled: bool = True
    port: Annotated[int, Field(ge=1, le=65535)]
    address: IpOrNothing = ""


class RetireFile(Model):
    """All that such a file may say."""

    namespace: Name
    config_map_name: Name
    daemon_set_name: Name
    labels: Annotated[dict[str, str], Field(min_length=1)]
    http: HealthEntry
    timeout_seconds: Annotated[int, Field(ge=1)] = 60
    image: str = ""


def read_retire(file: Path) -> RetireSettings:
    """Return what a file says; ConfigError names all that is wrong in it."""
    read = read_yaml(file, RetireFile)
    ip = ip_address(read.http.address) if read.http.address else None
    is_asked = read.http.enabled and not (ip is not None and ip.is_loopback)
    return RetireSettings(
        read.namespace,
        read.config_map_name,
        read.daemon_set_name,
        read.labels,
        health_port=read.http.port if is_asked else None,
        health_ip=None if ip is None or ip.is_unspecified else ip,
        patience=float(read.timeout_seconds),
        image=read.image,
    )


def cluster_access(
    environment: Mapping[str, str] = os.environ, account: Path = SERVICE_ACCOUNT
) -> ClusterAccess:
    """Return how this pod reaches its cluster's API; ConfigError outside of a cluster."""
    host, port = (environment.get(f"KUBERNETES_SERVICE_{key}") for key in ("HOST", "PORT"))
    if not host or not port:
        raise ConfigError(
            "KUBERNETES_SERVICE_HOST and _PORT are not set: this command runs in a cluster's pod"
        )
    bracketed = f"[{host}]" if ":" in host else host
    token = account / "token"
    if not token.exists():
        raise ConfigError(
            f"{token} is not there: the pod needs a ServiceAccount with "
            "automountServiceAccountToken: true"
        )
    return ClusterAccess(f"https://{bracketed}:{port}", token, account / "ca.crt")
