"""What the demo reads out of tools, and what it says in the end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci.demo_agents import configuration, pods_of
from ci.demo_lab import DemoError, Lab, load, processes_of, save
from ci.demo_report import (
    Member,
    Pair,
    complaint_of,
    endpoint_of,
    find_problems,
    format_rate,
    format_table,
    members_table,
    pairs_table,
    parse_iperf,
    parse_ping,
    shorten,
    split_families,
    verdict,
)
from ztlink.config.file import read_settings

IPUTILS = """PING 10.147.17.240 (10.147.17.240) 56(84) bytes of data.

--- 10.147.17.240 ping statistics ---
5 packets transmitted, 5 received, 0% packet loss, time 804ms
rtt min/avg/max/mdev = 1.398/13.080/59.103/23.012 ms
"""
BUSYBOX = "round-trip min/avg/max = 0.041/0.052/0.061 ms\n"
LOST = "2 packets transmitted, 0 received, 100% packet loss, time 1010ms\n"

A = Member("a", "6ed9bf8e3f", "10.147.17.225", "fd1e:4c4b:209:22a9:c199:936e:d9bf:8e3f")
B = Member("b", "ceb83aef68", "10.147.17.240", "fd1e:4c4b:209:22a9:c199:93ce:b83a:ef68")
AB = Pair("a", "b", "10.200.0.4/9993", 1.4, 1.52)
BA = Pair("b", "a", "fd00:200::3/9993", 1.3, 1.41)


def path(address: str, *, preferred: bool = False, **changes: bool) -> dict[str, Any]:
    state = {"active": True, "expired": False, "preferred": preferred}
    return {"address": address, **state, **changes}


def peer(*paths: dict[str, Any]) -> list[dict[str, Any]]:
    other = {"address": "1e4c4b0209", "paths": [path("10.200.0.1/9993")]}
    return [other, {"address": B.address, "paths": list(paths)}]


@pytest.mark.parametrize(
    ("output", "mean"), [(IPUTILS, 13.08), (BUSYBOX, 0.052), (LOST, None), ("", None)]
)
def test_a_round_trip_is_the_mean_that_ping_prints(output: str, mean: float | None) -> None:
    assert parse_ping(output) == mean


def test_throughput_is_what_arrived() -> None:
    end = {"sum_sent": {"bits_per_second": 9e8}, "sum_received": {"bits_per_second": 8e8}}
    assert parse_iperf(json.dumps({"end": end})) == 8e8


@pytest.mark.parametrize("output", ["", "no JSON", "[]", '{"end": {}, "error": "refused"}'])
def test_without_a_result_of_iperf_there_is_no_throughput(output: str) -> None:
    assert parse_iperf(output) is None


def test_a_complaint_is_one_line() -> None:
    of_iperf = 'iperf3 -J: {\n\t"start":\t{},\n\t"error":\t"unable to connect: \\"b\\" refused"\n}'
    assert shorten(of_iperf) == 'unable to connect: "b" refused'
    assert shorten("Traceback:\n  somewhere\nOSError: refused\n") == "OSError: refused"


def test_a_run_of_iperf_that_went_well_has_no_complaint() -> None:
    assert complaint_of('{"end": {"sum_received": {"bits_per_second": 1}}}') is None
    assert complaint_of('{"end": {}, "error": "refused"}') == "refused"


def test_the_preferred_path_is_the_one_shown() -> None:
    peers = peer(path("10.200.0.4/9993"), path("fd00:200::4/9993", preferred=True))
    assert endpoint_of(peers, B.address) == "fd00:200::4/9993"


def test_a_peer_without_a_live_path_is_not_reached_directly() -> None:
    dead = [path("10.200.0.4/9993", expired=True), path("10.200.0.5/9993", active=False)]
    assert endpoint_of(peer(*dead), B.address) is None
    assert endpoint_of(peer(), B.address) is None


def test_an_unknown_peer_is_not_reached_directly() -> None:
    assert endpoint_of([], B.address) is None


def test_assigned_addresses_are_told_apart_by_family() -> None:
    assert split_families([f"{A.ipv6}/88", f"{A.ipv4}/24", "10.0.0.1/8"]) == (A.ipv4, A.ipv6)
    assert split_families([f"{A.ipv6}/88"]) == (None, A.ipv6)
    assert split_families([]) == (None, None)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = format_table(("x", "yy"), [("long", "1"), ("", "2")])
    assert table.splitlines() == ["x     yy", "long  1", "      2"]


def test_the_table_of_members_says_where_an_address_is_missing() -> None:
    lines = members_table([A, replace(B, ipv6=None)]).splitlines()
    assert lines[0].split() == ["node", "address", "IPv4", "IPv6"]
    assert lines[1].split() == ["a", A.address, A.ipv4, A.ipv6]
    assert lines[2].split() == ["b", B.address, B.ipv4, "none"]


def test_the_table_of_pairs_tells_direct_from_relayed_and_lost() -> None:
    lines = pairs_table([AB, replace(BA, endpoint=None, ping6=None)]).splitlines()
    assert lines[1].split() == ["a", "b", "direct", "10.200.0.4/9993", "1.40", "ms", "1.52", "ms"]
    assert lines[2].split() == ["b", "a", "relay", "the", "root", "1.30", "ms", "lost"]


def test_tables_fit_a_terminal_of_eighty_columns() -> None:
    wide = Member("control", A.address, "10.147.17.225", "fd1e:4c4b:2209:22a9:c199:936e:d9bf:8e3f")
    far = Pair("a", "b", "fd00:200::5/9993", 1234.56, 1234.56)
    for table in (members_table([wide]), pairs_table([far])):
        assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (1.13e9, "1.1 Gbit/s"),
        (12.4e9, "12 Gbit/s"),
        (797e6, "797 Mbit/s"),
        (3.21e6, "3.2 Mbit/s"),
        (45e3, "45 kbit/s"),
    ],
)
def test_rates_are_short(bits: float, text: str) -> None:
    assert format_rate(bits) == text


def test_the_verdict_is_ok_where_all_went_well() -> None:
    assert find_problems([A, B], [AB, BA], 1.1e9) == []
    assert verdict([A, B], [AB, BA], 1.1e9) == "demo: OK, 2 nodes, all pairs direct, 1.1 Gbit/s"


@pytest.mark.parametrize(
    ("members", "pairs", "rate", "problem"),
    [
        ([replace(A, ipv4=None), B], [AB, BA], 1e9, "no IPv4 address: a"),
        ([A, replace(B, ipv6=None)], [AB, BA], 1e9, "no IPv6 address: b"),
        ([A, B], [replace(AB, ping4=None), BA], 1e9, "no answer over IPv4: a to b"),
        ([A, B], [AB, replace(BA, ping6=None)], 1e9, "no answer over IPv6: b to a"),
        (
            [A, B],
            [replace(AB, endpoint=None), replace(BA, endpoint=None)],
            1e9,
            "no direct path: a to b, b to a",
        ),
        ([A, B], [AB, BA], None, "no TCP throughput"),
    ],
)
def test_the_verdict_names_what_failed(
    members: list[Member], pairs: list[Pair], rate: float | None, problem: str
) -> None:
    assert verdict(members, pairs, rate) == f"demo: FAILED, {problem}"


def test_a_kept_demo_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    save(tmp_path, ["ztdemo1-switch", "ztdemo1-a"])
    assert load(tmp_path) == ["ztdemo1-switch", "ztdemo1-a"]


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_directory_that_is_no_demo_is_not_ended(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "namespaces.json").write_text(content)
    with pytest.raises(DemoError, match="not the directory of a demo"):
        load(tmp_path)


def test_the_processes_of_a_demo_are_known_by_their_environment(tmp_path: Path) -> None:
    environments = {
        "1": b"",
        "17": b"HOME=/root\0ZTLINK_DEMO=/tmp/ztdemo-1\0",
        "18": b"ZTLINK_DEMO=/tmp/ztdemo-12\0",
        "19": b"OTHER=ZTLINK_DEMO=/tmp/ztdemo-1\0",
        "self": b"ZTLINK_DEMO=/tmp/ztdemo-1\0",
    }
    for pid, environment in environments.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "environ").write_bytes(environment)
    (tmp_path / "20").mkdir()  # it ended meanwhile
    assert processes_of(Path("/tmp/ztdemo-1"), tmp_path) == [17]  # noqa: S108 - only a name


def test_an_agent_of_the_demo_takes_its_file(tmp_path: Path) -> None:
    lab = Lab.__new__(Lab)  # without a directory to guard
    lab.directory = tmp_path  # type: ignore[misc]
    file = tmp_path / "a.yaml"
    file.write_text(json.dumps(configuration(lab, "112972485d000001", A, B)))
    settings = read_settings(file, {})
    assert settings.routing is not None
    (route,) = settings.routing.routes
    assert (str(route.target), route.way) == (f"{pods_of('b')}.0/24", B.address)
    assert settings.firewall is not None
    assert [str(one) for one in settings.firewall.inside] == [f"{pods_of('a')}.0/24"]
