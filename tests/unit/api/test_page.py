"""The page for people, as a parser of HTML reads it."""

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from html.parser import HTMLParser
from ipaddress import ip_address

from tests.unit.api.seen import (
    JOINED,
    NAME,
    NODE,
    REQUIRED,
    Keeper,
    Kept,
    config,
    membership,
    peer,
    reported,
    seen,
)
from ztlink.api.judgement import Judge
from ztlink.api.observe import Observation
from ztlink.api.page import HEADERS, MAX_ROWS, page
from ztlink.host.dns.entries import NameServers, coredns_stub
from ztlink.ids import format_address
from ztlink.node.events import NetworkStatus
from ztlink.node.status import PeerRole
from ztlink.wire.netconf import Dns

EVIL = "<script>alert(1)</script>\"'&"
VOID = frozenset({"meta", "br", "link", "img", "input"})
POLICY = HEADERS["Content-Security-Policy"]


@dataclass
class Reader(HTMLParser):
    """Keeps elements, and text by the element that it is in."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: dict[str, list[str]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text.setdefault(self._open[-1], []).append(data)

    def close(self) -> None:
        super().close()
        assert self._open == [], "all that was opened is closed"

    @property
    def words(self) -> str:
        inside = (one for tag, one in self.text.items() if tag not in ("style", "script"))
        return " ".join(text for texts in inside for text in texts)


def shown(observation: Observation | None) -> str:
    settings = replace(REQUIRED, node_name="worker-1")
    return page(observation, Judge().judge(observation, settings, 1.0), settings)


def read(observation: Observation | None) -> Reader:
    reader = Reader()
    reader.feed(shown(observation))
    reader.close()
    return reader


def evil() -> Observation:
    """A node whose network and reason were named by somebody who means ill."""
    one = membership(NetworkStatus.OK, "10.1.2.3/24", reason=EVIL)
    view = replace(one.view, config=replace(config(), name=EVIL.encode()))
    refused = membership(NetworkStatus.ACCESS_DENIED, reason=EVIL)
    return reported(seen(replace(one, view=view), refused), Keeper(kept=(Kept(EVIL),)))


def test_a_page_shows_the_machine_and_whether_it_is_ready() -> None:
    reader = read(JOINED)
    assert reader.text["h1"] == ["worker-1"]
    assert reader.text["title"] == ["worker-1: ready"]


def test_a_page_of_a_node_that_is_not_ready_says_so_with_the_remedy() -> None:
    reader = read(seen(membership(NetworkStatus.ACCESS_DENIED)))
    assert reader.text["title"] == ["worker-1: not ready"]
    assert f"ztlink authorize {NAME} {format_address(NODE.identity.address)}" in reader.words


def named(domain: bytes) -> Observation:
    """A node in a network that has a name server."""
    one = membership(NetworkStatus.OK, "10.1.2.3/24")
    dns = Dns(domain, (ip_address("10.1.2.53"),))
    return seen(replace(one, view=replace(one.view, config=replace(config(), dns=dns))))


def test_name_servers_are_shown_with_what_coredns_is_told() -> None:
    reader = read(named(b"mesh.example"))
    assert "Name servers" in reader.text["h2"]
    assert reader.text["pre"] == [
        coredns_stub(NameServers("mesh.example", (ip_address("10.1.2.53"),)))
    ]


def test_name_servers_of_no_domain_are_offered_to_nobody() -> None:
    reader = read(named(EVIL.encode()))
    assert "pre" not in reader.text
    assert "nobody asks" in reader.words
    assert EVIL in reader.words


def test_networks_without_name_servers_have_no_section_for_them() -> None:
    assert "Name servers" not in read(JOINED).text["h2"]


def test_a_page_of_a_node_that_does_not_answer_is_one_nevertheless() -> None:
    assert "the node does not answer" in read(None).words


def test_what_is_wrong_comes_before_what_is_well() -> None:
    words = read(seen(membership(NetworkStatus.ACCESS_DENIED))).words
    assert words.index("ACCESS_DENIED") < words.index("sockets")


def test_peers_are_shown_with_path_and_latency_the_roots_first() -> None:
    root = peer(2, PeerRole.PLANET, latency=-1, active=False)
    leaf = peer(1, latency=5, active=True)
    words = read(replace(JOINED, peers=(leaf, root))).words
    assert "10.200.0.12/9993" in words
    assert "5 ms" in words
    places = [words.index(format_address(one.identity.address)) for one in (root, leaf)]
    assert places == sorted(places)


def test_networks_are_shown_with_address_and_device() -> None:
    words = read(JOINED).words
    assert all(one in words for one in (NAME, "mesh", "10.1.2.3/24", "zt0"))


def test_what_others_manage_is_shown() -> None:
    words = read(reported(JOINED, Keeper(kept=(Kept("10.20.0.0/16"),)))).words
    assert "10.20.0.0/16" in words
    assert "installed" in words


def test_what_others_say_is_text_and_nothing_else() -> None:
    reader = read(evil())
    assert [tag for tag, _ in reader.elements].count("script") == 1
    assert EVIL in reader.words


def test_a_name_cannot_turn_the_direction_of_a_line() -> None:
    joined = JOINED.memberships[0]
    assert joined.view.config is not None
    config = replace(joined.view.config, name="a\u202eb\x9b".encode())
    named = replace(joined, view=replace(joined.view, config=config))
    assert r"a\u202eb\x9b" in read(replace(JOINED, memberships=(named,))).words


def test_all_attributes_are_ours() -> None:
    plain, hostile = read(JOINED), read(evil())
    ours = {"class", "lang", "charset", "name", "content", "http-equiv", "id", "role", "scope"}
    for reader in (plain, hostile):
        assert {key for _, attributes in reader.elements for key in attributes} <= ours | {
            "aria-label"
        }


def test_nothing_comes_from_elsewhere() -> None:
    fetched = ("src", "href", "action", "data", "poster", "srcset")
    assert not [a for _, a in read(evil()).elements if any(key in a for key in fetched)]
    assert "url(" not in shown(JOINED)


def test_without_javascript_the_page_is_loaded_again_by_itself() -> None:
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in shown(JOINED)


def test_the_policy_knows_the_one_style_and_the_one_script() -> None:
    text = shown(JOINED)
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in POLICY


def test_the_policy_allows_nothing_that_is_not_named() -> None:
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY
    assert "frame-ancestors 'none'" in POLICY


def test_light_and_dark_are_the_browser_s_choice() -> None:
    text = shown(JOINED)
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text


def test_a_page_of_a_great_mesh_has_a_bounded_number_of_rows() -> None:
    many = (peer(1, active=True),) * (MAX_ROWS + 1)
    reader = read(replace(JOINED, peers=many))
    assert "the first 500 of 501; the status JSON has all" in reader.words
    assert [tag for tag, _ in reader.elements].count("tr") < MAX_ROWS + 30
