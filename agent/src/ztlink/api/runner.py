"""How HTTP servers are run: without a log of requests, and without one of what cannot be read.

aiohttp logs a request that it cannot read as it came, and that may hold a token.
"""

import logging
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

KEEPALIVE: Final = 15.0
"""Seconds for which a connection is kept that asks for nothing more."""
SHUTDOWN_TIMEOUT: Final = 1.0
"""Seconds that requests have to end in when the node stops."""


class _Readable(logging.Filter):
    """Lets nothing pass that tells of a request which could not be read: it was answered by 400."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_logger = logging.getLogger(__name__)
_logger.addFilter(_Readable())


def make_runner(application: web.Application) -> web.AppRunner:
    """Return what runs an application's server; it is not set up yet."""
    return web.AppRunner(
        application,
        access_log=None,
        logger=_logger,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
    )
