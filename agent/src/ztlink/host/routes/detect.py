"""What the cluster's ranges are, as far as this machine tells."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from ztlink.host.desired import IpNetwork
from ztlink.host.routes.kernel import ForeignRoute
from ztlink.host.routes.ranges import Range, Use
from ztlink.host.routes.wanted import ClusterSettings

logger = logging.getLogger(__name__)

CNI_PROTOCOLS: Final = {12: "BIRD, as Calico runs it", 80: "Calico's Felix"}
"""`rtm_protocol` of what programs routes to pods. Others use the numbers of the kernel's own."""
CNI_DEVICES: Final = (
    "cni",
    "cali",
    "cilium_",
    "lxc",
    "flannel",
    "tunl",
    "vxlan.calico",
    "kube-bridge",
    "weave",
    "antrea-",
    "ovn-k8s",
)
"""How the names of devices begin behind which pods are."""
_KERNEL: Final = 2
_MAX_FILE: Final = 1 << 20
_SUBNET_KEYS: Final = frozenset({"subnet", "ipv4_pools", "ipv6_pools"})
_SUFFIXES: Final = (".conflist", ".conf", ".json")


@dataclass(frozen=True, slots=True)
class ClusterRanges:
    """What is known of the cluster, and of what nothing is."""

    ranges: tuple[Range, ...] = ()
    unknown: tuple[Use, ...] = ()


def cluster_ranges(
    settings: ClusterSettings, foreign: Iterable[ForeignRoute], names: Mapping[int, str]
) -> ClusterRanges:
    """Return the cluster's ranges: those that were given, else those of the CNI's files.

    Routes that are there are taken for what they are, whatever was given.
    """
    given = {
        Use.PODS: ("cluster.podCidrs", settings.pods),
        Use.SERVICES: ("cluster.serviceCidrs", settings.services),
        Use.NODES: ("cluster.nodeCidrs", settings.nodes),
    }
    told = [Range(one, use, key) for use, (key, those) in given.items() for one in those]
    missing = [use for use, (_, those) in given.items() if not those]
    seen = [*_seen_in_routes(foreign, names)]
    if settings.detect and Use.PODS in missing:
        seen += _seen_in_files(settings.cni_directory)
    unknown = [use for use in missing if not any(one.use is use for one in seen)]
    if settings.service_ip is not None and Use.SERVICES in missing:
        origin = "KUBERNETES_SERVICE_HOST, of a range that is not known"
        seen.append(Range(ip_network(settings.service_ip), Use.SERVICES, origin))
    return ClusterRanges((*told, *seen), tuple(unknown) if settings.detect else ())


def _seen_in_routes(foreign: Iterable[ForeignRoute], names: Mapping[int, str]) -> Iterator[Range]:
    for route in foreign:
        target, device = route.target, names.get(route.index, "")
        if target.prefixlen == 0 or target.is_link_local or target.is_multicast:
            continue
        way = f"dev {device}" if device else "no one device"
        if route.protocol in CNI_PROTOCOLS:
            yield Range(target, Use.PODS, f"a route of {CNI_PROTOCOLS[route.protocol]}, {way}")
        elif device.startswith(CNI_DEVICES):
            yield Range(target, Use.PODS, f"a route of this machine, {way}")
        elif device != "lo":
            is_own = route.protocol == _KERNEL and route.is_on_link
            use = Use.NODES if is_own else Use.NETWORK
            yield Range(target, use, f"a route of this machine, {way}")


# -- the files of the CNI ------------------------------------------------------------------------


def _seen_in_files(directory: Path) -> list[Range]:
    try:
        files = sorted(file for file in directory.iterdir() if file.suffix in _SUFFIXES)
    except OSError as error:
        logger.debug("no CNI configuration directory=%s error=%s", directory, error)
        return []
    return [Range(one, Use.PODS, str(file)) for file in files for one in read_conflist(file)]


def read_conflist(file: Path) -> list[IpNetwork]:
    """Return the subnets that a CNI configuration names; of one that cannot be read, none."""
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(_MAX_FILE))
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("a CNI configuration is passed over file=%s error=%s", file, error)
        return []
    return [*dict.fromkeys(_subnets(content))]


def _subnets(content: Any) -> Iterator[IpNetwork]:  # noqa: ANN401 - JSON
    """Look for subnets wherever plugins put them: `ipam.subnet`, `ipam.ranges`, pools."""
    if isinstance(content, list):
        for one in content:
            yield from _subnets(one)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key in _SUBNET_KEYS:
                yield from _networks(value)
            else:
                yield from _subnets(value)


def _networks(value: Any) -> Iterator[IpNetwork]:  # noqa: ANN401 - JSON
    for text in value if isinstance(value, list) else [value]:
        try:
            yield ip_network(str(text), strict=False)
        except ValueError:  # such as "usePodCidr", which another program fills in
            logger.debug("no subnet value=%r", text)
