"""Reading the bodies of requests."""

import json
from typing import Any

from aiohttp import web


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a body; empty where there is none; ValueError where it is none."""
    try:
        text = (await request.read()).decode()
        body = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body
