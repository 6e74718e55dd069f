"""The planet of the public infrastructure (wire.adoc#default-planet)."""

from ipaddress import ip_address
from typing import Final

from ztlink.ids import Address, Endpoint
from ztlink.wire.identity import Identity
from ztlink.wire.world import Root, World, WorldType

_PORT: Final = 9993


def _root(address: int, public_key: str, *ips: str) -> Root:
    endpoints = tuple(Endpoint(ip_address(ip), _PORT) for ip in ips)
    return Root(Identity(Address(address), bytes.fromhex(public_key)), endpoints)


DEFAULT_PLANET: Final = World(
    world_type=WorldType.PLANET,
    world_id=149_604_618,
    timestamp=1_644_592_324_813,
    next_update_key=bytes.fromhex(
        "b8b388a469221491aa9acd66cc764cdefd56039f1067ae15e69c6fb42d7b5533"
        "0e3fdaac529c0792fd7340a6aa21aba8a489fdaea44a39bf2d00659ac9c818eb"
    ),
    signature=bytes.fromhex(
        "3600927637ef4d1404a44d544684851379751faa79b4c4ea85040175ea065860"
        "482402e1eb342052000e6290061a9be0cd293c8b55f1c3d2524808afc5492208"
        "0e3539a75addc3cef0f6ad260d588293bb7786e71efa4b9057dad9867afe12dd"
    ),
    roots=(
        _root(
            0xCAFE9EFEB9,
            "ccdef76bc7b97ded904eabc5df09886d9c1514a610036cb9139cc214001a2958"
            "978efcec15712dd3948c6e6b3a8e893df01ff493d1f8d9806a860c5420571bf0",
            "104.194.8.134",
            "2605:9880:200:1200:30:571:e34:51",
        ),
        _root(
            0x778CDE7190,
            "3f6681a99e5ad1895e9fba33e6212d4454e168bcec7112101bf000956ed8e92e"
            "42892cb6f2ec410881a84ab19da50e1287ba3d926c3a1f755cccf299a1207055",
            "103.195.103.66",
            "2605:9880:400:c3:254:f2bc:a1f7:19",
        ),
        _root(
            0x62F865AE71,
            "e2076c57de870e6288d7d5e7404408b1545efca37d67f77b87e9e54168c25d3e"
            "f1a9abf2905ea5e785c01dff23887ad4232d95c7a8fd2c27111a72bd159322dc",
            "50.7.252.138",
            "2001:49f0:d0db:2::2",
        ),
        _root(
            0xCAFE04EBA9,
            "6c6a9d1dea55c1616bfe2a2b8f0ff9a8cacaf70374fb1f39e3bef81cbfebef17"
            "b7228268a0a2a29d3488c752565c6c965cbd6506ec24397cc8a5d9d15285a87f",
            "84.17.53.155",
            "2a02:6ea0:d405::9993",
        ),
    ),
)
"""Four roots, 570 bytes when encoded."""
