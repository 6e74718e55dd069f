"""How lines of the log are written."""

import json
import logging
from collections.abc import Iterator

import pytest

from ztlink import logs
from ztlink.settings import LogFormat, LogSettings

logger = logging.getLogger("ztlink.some.place")


class Written:
    """What was logged."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def getvalue(self) -> str:
        return self._capsys.readouterr().err


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What is logged while a test runs; the log is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield Written(capsys)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_for_people_has_time_level_and_place(written: Written) -> None:
    logs.configure(LogSettings())
    logger.info("network=%s status=%s", "8056", "OK")
    assert "INFO ztlink.some.place network=8056 status=OK\n" in written.getvalue()


def test_a_line_of_json_names_what_its_message_names(written: Written) -> None:
    logs.configure(LogSettings(format=LogFormat.JSON))
    logger.info("network=%s count=%d online=%s", "8056", 3, True)
    told = json.loads(written.getvalue())
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "network=8056 count=3 online=True",
        "level": "info",
        "logger": "ztlink.some.place",
        "network": "8056",
        "count": 3,
        "online": True,
    }


def test_a_message_without_names_is_one_of_json_too(written: Written) -> None:
    logs.configure(LogSettings(format=LogFormat.JSON))
    logger.warning("offline for %.0f s: 100 %% of it", 12.0)
    assert json.loads(written.getvalue())["event"] == "offline for 12 s: 100 % of it"


def test_a_name_of_the_line_itself_is_not_taken_by_a_message(written: Written) -> None:
    logs.configure(LogSettings(format=LogFormat.JSON))
    logger.info("event=%s level=%s", "x", "y")
    told = json.loads(written.getvalue())
    assert (told["event"], told["level"]) == ("event=x level=y", "info")


@pytest.mark.parametrize("form", LogFormat)
def test_an_exception_is_told_without_the_values_of_variables(
    written: Written, form: LogFormat
) -> None:
    logs.configure(LogSettings(format=form))
    secret = "hunter" + "2"
    try:
        raise RuntimeError("too bad" if secret else "")
    except RuntimeError:
        logger.exception("it failed")
    text = written.getvalue()
    assert "RuntimeError: too bad" in text
    assert secret not in text


def test_what_is_below_the_level_is_not_written(written: Written) -> None:
    logs.configure(LogSettings("WARNING"))
    logger.info("quiet")
    logs.configure(LogSettings("INFO"))
    logger.info("loud")
    assert [line.split()[-1] for line in written.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize("name", ["pyroute2.netlink.core", "asyncio"])
def test_what_a_library_says_of_every_message_is_left_out(written: Written, name: str) -> None:
    logs.configure(LogSettings(level="DEBUG"))
    library = logging.getLogger(name)
    library.setLevel(logging.DEBUG)  # as one of them does when it is imported
    try:
        library.debug("all that there is")
        library.warning("something is amiss")
    finally:
        library.setLevel(logging.NOTSET)
    said = written.getvalue()
    assert "all that there is" not in said
    assert "something is amiss" in said


@pytest.mark.parametrize("form", LogFormat)
def test_what_others_wrote_begins_no_line_and_steers_no_terminal(
    written: Written, form: LogFormat
) -> None:
    logs.configure(LogSettings(format=form))
    logger.info(
        "network=%s reason=%s", "8056", "\x1b[2J\n2026-11-27 INFO all is well\u202e\x7f\x9b"
    )
    text = written.getvalue()
    assert text.count("\n") == 1
    assert text.replace("\n", "").replace("\x7f", "").isprintable()


def test_an_exceptions_words_steer_no_terminal(written: Written) -> None:
    logs.configure(LogSettings())
    try:
        raise RuntimeError("\x1b[2J")
    except RuntimeError:
        logger.exception("it failed")
    assert "RuntimeError: \\x1b[2J\n" in written.getvalue()
