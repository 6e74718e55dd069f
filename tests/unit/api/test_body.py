"""Bodies of requests: objects, and nothing else."""

from typing import cast

import pytest
from aiohttp import web

from ztlink.api.body import read_object


class Request:
    """A request as far as its body is concerned."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


async def read(body: bytes) -> dict[str, object]:
    return await read_object(cast(web.Request, Request(body)))


async def test_an_object_is_read() -> None:
    assert await read('{"name": "l\u00e4b"}'.encode()) == {"name": "l\u00e4b"}


@pytest.mark.parametrize("body", [b"", b" \r\n"])
async def test_no_body_is_an_empty_object(body: bytes) -> None:
    assert await read(body) == {}


@pytest.mark.parametrize("body", [b"x", b"\xff", b"{", b"[" * 100_000, b"9" * 5_000])
async def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the body is not JSON: "):
        await read(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"'])
async def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the body is not a JSON object$"):
        await read(body)
