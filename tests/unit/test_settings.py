"""What a process is told."""

import pytest

from ztlink.settings import is_excluded


@pytest.mark.parametrize(
    "name", ["lo", "zt7nnig26", "tun0", "tap3", "docker0", "br-0a1b2c", "veth12ab", "cali1", "wg0"]
)
def test_other_overlays_carry_no_packets_of_ours(name: str) -> None:
    assert is_excluded(name)


@pytest.mark.parametrize(
    "name", ["cni0", "cilium_host", "lxc12ab", "flannel.1", "kube-ipvs0", "tailscale0"]
)
def test_networks_of_containers_carry_no_packets_of_ours(name: str) -> None:
    assert is_excluded(name)


@pytest.mark.parametrize(
    "name", ["eth0", "enp3s0", "wlan0", "br0", "bond0", "wwan0", "ens18", "lowpan0"]
)
def test_interfaces_to_the_world_carry_our_packets(name: str) -> None:
    assert not is_excluded(name)
