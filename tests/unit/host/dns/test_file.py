"""The block in resolv.conf: where it stands, the way back, and whose file is left alone."""

import os
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.file import ResolvConf
from ztlink.host.dns.way import Link

OWNER = "35da09f211"
OTHER_NODE = "89e92ceee5"
LINK = Link("ztmjfmfyq5", 7)
MESH = NameServers("mesh.example", (ip_address("10.147.1.53"), ip_address("fd00::53")))
PLAIN = "# of this machine\nsearch lan.example\nnameserver 192.0.2.1\noptions timeout:1\n"
BLOCK = (
    "# BEGIN ztlink 35da09f211 ztmjfmfyq5: goes by itself, or by `ztlink cleanup`\n"
    "nameserver 10.147.1.53\nnameserver fd00::53\n"
    "# END ztlink\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "resolv.conf"
    made.write_text(PLAIN)
    return made


@pytest.fixture
def way(file: Path) -> ResolvConf:
    return ResolvConf(OWNER, file)


def test_a_network_s_servers_stand_before_the_machine_s(way: ResolvConf, file: Path) -> None:
    way.apply(LINK, MESH)
    assert (file.read_text(), way.holds(LINK, MESH)) == (BLOCK + PLAIN, True)


def test_what_was_set_twice_is_there_once(way: ResolvConf, file: Path) -> None:
    way.apply(LINK, MESH)
    way.apply(LINK, MESH)
    assert file.read_text() == BLOCK + PLAIN


@given(rest=st.binary(max_size=200))
def test_the_way_back_is_exact(tmp_path_factory: pytest.TempPathFactory, rest: bytes) -> None:
    file = tmp_path_factory.mktemp("etc") / "resolv.conf"
    file.write_bytes(rest)
    way = ResolvConf(OWNER, file)
    way.apply(LINK, MESH)
    assert file.read_bytes() == BLOCK.encode() + rest
    way.revert(LINK)
    assert file.read_bytes() == rest


def test_rights_stay_as_they_are(way: ResolvConf, file: Path) -> None:
    file.chmod(0o640)
    way.apply(LINK, MESH)
    assert file.stat().st_mode & 0o7777 == 0o640


def test_nothing_else_is_left_in_the_folder(way: ResolvConf, file: Path) -> None:
    way.apply(LINK, MESH)
    way.revert(LINK)
    assert [one.name for one in file.parent.iterdir()] == ["resolv.conf"]


def test_one_of_three_servers_that_are_asked_stays_the_machine_s(
    way: ResolvConf, file: Path
) -> None:
    many = NameServers("mesh.example", tuple(ip_address(f"10.147.1.{n}") for n in (1, 2, 3)))
    way.apply(LINK, many)
    servers = [line for line in file.read_text().splitlines() if line.startswith("nameserver")]
    assert servers == ["nameserver 10.147.1.1", "nameserver 10.147.1.2", "nameserver 192.0.2.1"]


def test_there_is_room_for_one_network(way: ResolvConf, file: Path) -> None:
    way.apply(LINK, MESH)
    with pytest.raises(HostError, match="has the servers of ztmjfmfyq5 already"):
        way.apply(Link("ztother", 8), MESH)
    assert file.read_text() == BLOCK + PLAIN


def test_what_another_node_has_set_is_not_taken_back(file: Path) -> None:
    other = ResolvConf(OTHER_NODE, file)
    other.apply(LINK, MESH)
    way = ResolvConf(OWNER, file)
    way.revert(LINK)
    assert (way.kept(), other.kept()) == (frozenset(), frozenset({LINK.name}))


def test_a_cleanup_takes_away_what_any_node_has_set(file: Path) -> None:
    ResolvConf(OTHER_NODE, file).apply(LINK, MESH)
    nobody = ResolvConf("", file)
    assert (nobody.remove_all(), file.read_text()) == (True, PLAIN)
    assert not nobody.remove_all()


def test_a_cleanup_takes_away_what_a_node_was_writing_when_it_was_killed(file: Path) -> None:
    (file.parent / ".resolv.conf.ztlink").touch()
    ResolvConf("", file).remove_all()
    assert [one.name for one in file.parent.iterdir()] == ["resolv.conf"]


def test_what_others_write_below_stays(way: ResolvConf, file: Path) -> None:
    way.apply(LINK, MESH)
    file.write_text(f"{file.read_text()}nameserver 192.0.2.2\n")
    way.revert(LINK)
    assert file.read_text() == f"{PLAIN}nameserver 192.0.2.2\n"


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(
    way: ResolvConf, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def change(descriptor: int) -> None:
        file.write_text("nameserver 192.0.2.77\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", change)
    with pytest.raises(HostError, match="was changed by another program meanwhile"):
        way.apply(LINK, MESH)
    assert file.read_text() == "nameserver 192.0.2.77\n"


# -- whose file it is --------------------------------------------------------------------------


def test_a_plain_file_may_be_used(way: ResolvConf) -> None:
    assert way.why_not() is None


def test_a_file_with_our_block_may_be_used(way: ResolvConf) -> None:
    way.apply(LINK, MESH)
    assert way.why_not() is None


def test_a_link_belongs_to_another_program(way: ResolvConf, file: Path) -> None:
    stub = file.with_name("stub-resolv.conf")
    file.rename(stub)
    file.symlink_to(stub.name)
    assert way.why_not() == f"{file} is a link to stub-resolv.conf: another program keeps it"


@pytest.mark.parametrize(
    "header",
    [
        "# Generated by NetworkManager",
        "# Generated by dhcpcd from eth0.dhcp",
        "# Dynamic resolv.conf(5) file for glibc resolver(3) generated by resolvconf(8)",
        "### /etc/resolv.conf file autogenerated by netconfig!",
        "# This file was automatically generated by WSL. To stop automatic generation",
        "; created by cloud-init on instance boot automatically, do not edit.",
    ],
)
def test_what_says_that_it_is_generated_belongs_to_another_program(
    way: ResolvConf, file: Path, header: str
) -> None:
    file.write_text(f"{header}\n{PLAIN}")
    assert way.why_not() == f"{file} is kept by another program: it says {header!r}"


def test_what_is_mounted_there_is_a_container_s(file: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 0:20 / / rw - overlay overlay rw\n23 22 0:21 /x {file} rw - ext4 a rw\n"
    )
    assert ResolvConf(OWNER, file, mounts).why_not() == (
        f"{file} is mounted from elsewhere, as in a container"
    )


def test_without_a_file_nothing_is_made(tmp_path: Path) -> None:
    nowhere = tmp_path / "resolv.conf"
    assert ResolvConf(OWNER, nowhere).why_not() == f"{nowhere}: No such file or directory"


def test_a_machine_that_asks_itself_goes_on_doing_so(way: ResolvConf, file: Path) -> None:
    file.write_text("options edns0\n")
    assert way.why_not() == f"{file} names no server: a resolver of this machine is asked"


def test_what_the_kernel_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / ".resolv.conf.ztlink").mkdir()
    file = tmp_path / "resolv.conf"
    file.write_text(PLAIN)
    with pytest.raises(HostError, match=r"resolv\.conf: Is a directory"):
        ResolvConf(OWNER, file).apply(LINK, MESH)
