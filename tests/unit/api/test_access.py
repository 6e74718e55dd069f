"""Who may speak to the API."""

import pytest

from tests.unit.api.rig import TOKEN, FakeCore, make_api, speak_to
from ztlink.api.access import is_local_host


@pytest.mark.parametrize(
    "header",
    [
        "",
        "localhost",
        "LOCALHOST:9993",
        "127.0.0.1",
        "127.0.0.1:9993",
        "10.1.2.3:9993",
        "[::1]",
        "[::1]:9993",
        "::1",
        " 127.0.0.1 ",
    ],
)
def test_an_address_or_localhost_is_ours(header: str) -> None:
    assert is_local_host(header)


@pytest.mark.parametrize(
    "header",
    ["example.com", "example.com:9993", "127.0.0.1.example.com", "localhost.example.com", "[x]:1"],
)
def test_a_name_on_the_net_is_not(header: str) -> None:
    assert not is_local_host(header)


async def test_a_page_that_named_itself_ours_is_refused_with_the_token_too() -> None:
    request = (
        f"GET /status HTTP/1.1\r\nHost: evil.example:9993\r\nX-ZT1-Auth: {TOKEN}\r\n"
        "Connection: close\r\n\r\n"
    )
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.exchange(request.encode())
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_request_without_a_host_is_served() -> None:
    request = f"GET /status HTTP/1.0\r\nX-ZT1-Auth: {TOKEN}\r\n\r\n"
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.exchange(request.encode())
    assert answer.startswith(b"HTTP/1.0 200 ")
