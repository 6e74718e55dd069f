"""A file is followed: what changes is applied, what is wrong changes nothing."""

import os
from pathlib import Path

import pytest

from ztlink.conditions import Status
from ztlink.config.follow import Follower
from ztlink.errors import ConfigError, HostError
from ztlink.settings import OnStop, Settings


class Used:
    """Takes settings, or refuses them."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.seen: list[Settings] = []
        self.refusal = refusal

    async def __call__(self, settings: Settings) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.seen.append(settings)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "config.yaml"
    made.write_text("onStop: remove")
    return made


def say(file: Path, text: str) -> None:
    """Change the file."""
    file.write_text(text)


def remove(file: Path) -> None:
    """Take the file away."""
    file.unlink()


def follower(file: Path) -> Follower:
    return Follower(file, lambda: 100.0, {})


async def test_what_changed_is_applied(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "onStop: keep")
    await made.look(used)
    assert [one.on_stop for one in used.seen] == [OnStop.KEEP]
    assert made.settings.on_stop is OnStop.KEEP


async def test_a_file_that_says_the_same_is_not_applied_again(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "# the same\nonStop: remove")
    await made.look(used)
    assert (used.seen, made.book.counts.successes) == ([], 1)


async def test_a_wrong_file_is_not_applied_and_told(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "onStop: later")
    await made.look(used)
    assert (used.seen, made.book.condition.status) == ([], Status.FAULT)
    assert "onStop: 'later'" in made.book.condition.cause
    assert made.settings.on_stop is OnStop.REMOVE


async def test_all_mistakes_of_a_file_are_one_line_of_the_log(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = follower(file)
    say(file, "onStop: later\nport: 0")
    await made.look(Used())
    (message,) = caplog.messages
    assert "\n" not in message
    assert "port: 0: " in message
    assert "onStop: 'later': " in message


async def test_the_same_mistake_is_counted_once(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "onStop: later")
    await made.look(used)
    await made.look(used)
    assert made.book.counts.failures == 1


async def test_a_file_that_is_gone_is_told(file: Path) -> None:
    made, used = follower(file), Used()
    remove(file)
    await made.look(used)
    assert "No such file" in made.book.condition.cause


async def test_what_the_machine_refuses_is_told_and_tried_again(file: Path) -> None:
    made = follower(file)
    say(file, "onStop: keep")
    await made.look(Used(HostError(98, "the port is taken")))
    assert "the port is taken" in made.book.condition.cause
    used = Used()
    await made.look(used)
    assert [one.on_stop for one in used.seen] == [OnStop.KEEP]
    assert made.book.condition.status is Status.OK


async def test_what_was_refused_in_part_is_taken_back_with_the_file(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "onStop: keep")
    await made.look(Used(HostError(98, "the port is taken")))
    say(file, "onStop: remove")
    await made.look(used)
    assert [one.on_stop for one in used.seen] == [OnStop.REMOVE]


async def test_a_key_that_waits_for_the_next_start_is_not_applied(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "onStop: keep\nport: 5")
    await made.look(used)
    assert [(one.on_stop, one.port) for one in used.seen] == [(OnStop.KEEP, 9993)]
    assert made.book.condition.cause.startswith("port: ")


async def test_a_key_that_waits_is_no_change_once_it_is_taken_back(file: Path) -> None:
    made, used = follower(file), Used()
    for text in ("port: 5", "{}"):
        say(file, text)
        await made.look(used)
    assert (used.seen, made.book.condition.status) == ([], Status.OK)


def test_a_wrong_file_starts_nothing(file: Path) -> None:
    file.write_text("onStop: later")
    with pytest.raises(ConfigError):
        follower(file)


async def test_an_emptied_file_changes_nothing(file: Path) -> None:
    made, used = follower(file), Used()
    say(file, "")
    await made.look(used)
    assert used.seen == []
    assert "is empty" in made.book.condition.cause


def test_a_node_may_start_with_an_empty_file(file: Path) -> None:
    say(file, "")
    assert follower(file).settings.memberships == ()


async def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(file: Path) -> None:
    made, used = follower(file), Used()
    remove(file)
    os.mkfifo(file)
    await made.look(used)
    assert used.seen == []
    assert "it is a pipe or a device, and should be a file" in made.book.condition.cause
