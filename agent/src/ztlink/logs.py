"""The log of a process: a line for each change of state, for people or as JSON.

All of ztlink logs by the standard library, in messages made of `key=value`; structlog lays them
out. What a message names so is a field of its JSON, too (decisions/0015).
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

from ztlink.printable import printable, printable_lines
from ztlink.settings import LogFormat, LogSettings

TALKATIVE: Final = ("asyncio", "pyroute2")
"""They log every message of the kernel, at DEBUG."""
PLAIN: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_PLACE: Final = re.compile(r"(?:(?P<key>[a-z_][a-z_0-9]*)=)?%[-+ #0-9.]*(?P<kind>[a-z%])", re.I)
_RESERVED: Final = frozenset({"event", "level", "logger", "timestamp", "exception"})
_Event = MutableMapping[str, Any]


def configure(settings: LogSettings) -> None:
    """Log as is said from now on; may be called again."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format is LogFormat.JSON:
        handler.setFormatter(_json_formatter())
    else:
        handler.setFormatter(_PlainFormatter(PLAIN))
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    handler.addFilter(_is_wanted)


class _PlainFormatter(logging.Formatter):
    """Lines for people, in which what others wrote can do nothing but be read."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        return printable_lines(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - the library's
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


def _is_wanted(record: logging.LogRecord) -> bool:
    """Leave out what talkative libraries say; a level of their loggers some of them set anew."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in TALKATIVE


def _json_formatter() -> logging.Formatter:
    # Here: where lines are for people it is not needed.
    from structlog import processors, stdlib

    # Without what structlog can tell of an exception beyond its traceback: locals hold keys.
    return stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            stdlib.add_log_level,
            stdlib.add_logger_name,
            processors.TimeStamper(fmt="iso", utc=True),
            processors.format_exc_info,
        ],
        processors=[
            _add_fields,
            stdlib.ProcessorFormatter.remove_processors_meta,
            processors.JSONRenderer(default=str),
        ],
        pass_foreign_args=True,
    )


def _add_fields(logger: object, method: str, event: _Event) -> _Event:
    """Add what a message names by `key=%s`."""
    arguments = event.pop("positional_args", ())
    return {**fields_of(event["_record"].msg, arguments), **event}


def fields_of(message: object, arguments: object) -> dict[str, object]:
    """Return the values that a message of the standard library has names for."""
    if not isinstance(message, str) or not isinstance(arguments, tuple):
        return {}
    places = [place for place in _PLACE.finditer(message) if place["kind"] != "%"]
    return {
        place["key"]: _plain(value)
        for place, value in zip(places, arguments, strict=False)
        if place["key"] and place["key"] not in _RESERVED
    }


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
