"""Reading the bodies of requests, and the forms of answers."""

import json
import re
from typing import Any, Final

from aiohttp import web

Json = dict[str, Any]
_FUNCTION: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}")


async def read_object(request: web.Request) -> Json:
    """Return the JSON object of a body; empty where there is none; ValueError where it is none."""
    try:
        text = (await request.read()).decode()
        body = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


def failure(status: int, description: str) -> web.Response:
    """Return an error that says what is wrong."""
    return web.json_response({"error": status, "description": description}, status=status)


def check_jsonp(request: web.Request) -> None:
    """Refuse a JSONP function that is no name: it would be code of whoever made the link."""
    name = request.query.get("jsonp")
    if name is not None and not _FUNCTION.fullmatch(name):
        raise ValueError("jsonp: not the name of a function")


def wrap_jsonp(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Return the answer as a call of the function that the query names, if it names one."""
    name = request.query.get("jsonp")
    if name is None or not isinstance(response, web.Response):
        return response
    if response.content_type != "application/json" or response.text is None:
        return response
    text = f"{name}({response.text});"
    return web.Response(text=text, status=response.status, content_type="application/javascript")
