"""The page for people in a real browser: what it shows, how it stays true, what it refuses."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.host.observed import Counting, served_by_thread
from tests.lab.browser import Browser, browser
from tests.lab.wait import wait_until
from tests.unit.api.seen import JOINED, REQUIRED, config, membership, peer, seen
from ztlink.ids import format_address
from ztlink.node.events import NetworkStatus

pytestmark = pytest.mark.browser

TIMEOUT = 30.0
NODE = replace(REQUIRED, node_name="worker-1")
REFUSED = seen(membership(NetworkStatus.ACCESS_DENIED, reason="this node is not let in"))
EVIL = "<img src=x onerror='window.evil=1'><script>window.evil=1</script>"
WELL = replace(JOINED, peers=(peer(1, active=True),))

Page = tuple[Counting, str]


@pytest.fixture
def served() -> Iterator[Page]:
    """The page of a node that is well; the observation may be changed."""
    watcher = Counting(NODE, WELL)
    with served_by_thread(watcher) as origin:
        yield watcher, f"{origin}/zerotier/"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def window(chromium: Browser) -> Browser:
    """The browser as it is for whoever has just opened it."""
    chromium.command("Emulation.setScriptExecutionDisabled", value=False)
    chromium.command("Emulation.clearDeviceMetricsOverride")
    chromium.open("about:blank")
    chromium.complaints()
    chromium.requests()
    return chromium


def test_a_person_reads_peers_networks_and_conditions(served: Page, window: Browser) -> None:
    window.open(served[1])
    text = window.text()
    known = format_address(WELL.peers[0].identity.address)
    assert all(word in text for word in ("worker-1", "ready", known, "10.1.2.3/24", "tunDevice"))


def test_the_browser_has_nothing_to_complain_of(served: Page, window: Browser) -> None:
    window.open(served[1])
    window.text()
    assert [one for one in window.complaints() if "favicon" not in one] == []


def test_nothing_is_asked_for_elsewhere(served: Page, window: Browser) -> None:
    window.open(served[1])
    assert window.requests() <= {served[1], served[1].replace("zerotier/", "favicon.ico")}


def test_the_page_follows_the_node_without_being_loaded_again(
    served: Page, window: Browser
) -> None:
    window.open(served[1])
    window.run("window.mark = 1")
    served[0].found = REFUSED
    wait_until(
        lambda: "this node is not let in" in window.text(), timeout=TIMEOUT, what="it is told"
    )
    assert window.run("return [window.mark, document.title]") == [1, "worker-1: not ready"]


def test_a_page_whose_node_ended_says_so(served: Page, window: Browser) -> None:
    window.open(served[1])
    window.run("window.fetch = () => Promise.reject(new Error('gone'))")
    assert wait_until(
        lambda: "no answer since" in window.text(), timeout=TIMEOUT, what="it is told"
    )


def test_without_javascript_the_page_follows_the_node_too(served: Page, window: Browser) -> None:
    window.command("Emulation.setScriptExecutionDisabled", value=True)
    window.open(served[1])
    served[0].found = REFUSED
    wait_until(lambda: served[0].looks > 1, timeout=TIMEOUT, what="it is loaded again")
    assert wait_until(
        lambda: "this node is not let in" in window.source(), timeout=TIMEOUT, what="it is told"
    )


def test_what_others_say_does_not_run(served: Page, window: Browser) -> None:
    view = replace(JOINED.memberships[0].view, config=replace(config(), name=EVIL.encode()))
    served[0].found = seen(replace(JOINED.memberships[0], view=view))
    window.open(served[1])
    assert EVIL in window.text()
    assert window.run("return window.evil === undefined")


def test_a_script_that_got_in_nevertheless_would_not_run(served: Page, window: Browser) -> None:
    window.open(served[1])
    window.run(
        "const script = document.createElement('script'); script.text = 'window.evil = 1';"
        "document.body.append(script)"
    )
    assert window.run("return window.evil === undefined")


def test_light_and_dark_are_two_grounds(served: Page, window: Browser) -> None:
    window.open(served[1])
    grounds = []
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        window.command("Emulation.setEmulatedMedia", features=media)
        grounds.append(window.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 247, 249)", "rgb(17, 22, 28)"]


def test_a_narrow_screen_shows_all_of_a_line_by_scrolling_its_section(
    served: Page, window: Browser
) -> None:
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    window.command("Emulation.setDeviceMetricsOverride", **screen)
    window.open(served[1])
    assert window.run("return document.documentElement.scrollWidth") == 360
