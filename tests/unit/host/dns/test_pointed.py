"""Who of a machine asks systemd-resolved."""

from pathlib import Path

import pytest

from ztlink.host.dns.pointed import caveat

ELSEWHERE = "nameserver 192.0.2.53\n"


def told(etc: Path, resolv_conf: str = ELSEWHERE, hosts: str = "files dns") -> str:
    (etc / "resolv.conf").write_text(resolv_conf)
    (etc / "nsswitch.conf").write_text(f"passwd: files systemd\nhosts: {hosts}\n")
    return caveat(etc)


@pytest.mark.parametrize(
    "resolv_conf",
    [
        "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
        f"nameserver 127.0.0.53 # the stub\n{ELSEWHERE}",
        "nameserver 127.0.0.54\n",
    ],
)
def test_a_file_that_names_its_stub_leads_to_it(tmp_path: Path, resolv_conf: str) -> None:
    assert told(tmp_path, resolv_conf) == ""


@pytest.mark.parametrize(
    "hosts", ["mymachines resolve [!UNAVAIL=return] files myhostname dns", "resolve"]
)
def test_a_name_service_that_asks_it_leads_to_it(tmp_path: Path, hosts: str) -> None:
    assert told(tmp_path, hosts=hosts) == ""


@pytest.mark.parametrize(
    "resolv_conf", [ELSEWHERE, "# nameserver 127.0.0.53\n", "nameserver\nnameserver stub\n", ""]
)
def test_a_file_that_names_others_is_told_with_what_helps(tmp_path: Path, resolv_conf: str) -> None:
    said = told(tmp_path, resolv_conf)
    assert "does not lead to systemd-resolved" in said
    assert "link /etc/resolv.conf to /run/systemd/resolve/stub-resolv.conf" in said


def test_a_machine_without_these_files_asks_others(tmp_path: Path) -> None:
    assert "does not lead to systemd-resolved" in caveat(tmp_path)


def test_its_own_list_of_servers_has_them_asked_for_all_names(tmp_path: Path) -> None:
    uplinks = tmp_path / "uplinks"
    uplinks.write_text("nameserver 10.147.1.53\n")
    (tmp_path / "resolv.conf").symlink_to(uplinks)
    assert "ask the first ones for all names" in caveat(tmp_path, uplinks)


def test_a_comment_about_hosts_is_none(tmp_path: Path) -> None:
    assert "does not lead" in told(tmp_path, hosts="files dns # not resolve")
