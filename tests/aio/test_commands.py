"""The commands in user space, each as a process of its own."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.aio.overlay import PATIENCE, ZTLINK, Overlay
from tests.lab.ours import compiled_once


class Party:
    """A network, and commands of nodes in it."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self.network = overlay.make_network()

    def command(self, number: int, name: str, *arguments: str) -> list[str]:
        home = ("--home", str(self._overlay.make_home(number)))
        planet = ("--planet", str(self._overlay.planet), "--allow-loopback")
        return [*ZTLINK, name, *arguments, "--network", self.network, *home, *planet]

    def run(
        self, number: int, name: str, *arguments: str, given: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            self.command(number, name, *arguments),
            input=given,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env=os.environ | compiled_once(),
        )

    @contextmanager
    def running(self, number: int, name: str, *arguments: str) -> Iterator["Running"]:
        process = subprocess.Popen(
            self.command(number, name, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | compiled_once(),
        )
        try:
            yield Running(process, is_telling=name != "connect")
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                with suppress(BrokenPipeError):
                    assert pipe is not None
                    pipe.close()


class Running:
    """A command that runs meanwhile."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, is_telling: bool) -> None:
        self.process = process
        assert process.stderr is not None
        self.said = b""
        deadline = time.monotonic() + PATIENCE
        while is_telling and b" port " not in self.said and time.monotonic() < deadline:
            self.said += process.stderr.readline()

    def say(self, words: bytes) -> None:
        """Write to its input, and end that."""
        assert self.process.stdin is not None
        self.process.stdin.write(words)
        self.process.stdin.close()

    def say_until_heard(self, words: bytes, other: "Running") -> bytes:
        """Write to its input until another puts it out, which is returned: datagrams get lost."""
        assert self.process.stdin is not None
        assert other.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while not select.select([other.process.stdout], [], [], 1.0)[0]:
            assert time.monotonic() < deadline
            self.process.stdin.write(words)
            self.process.stdin.flush()
        return other.process.stdout.readline()

    def hear(self) -> bytes:
        """Read its output to the end of what the other side said."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    @property
    def ip(self) -> str:
        """The IPv4 address that it told."""
        words = self.said.replace(b",", b" ").decode().split()
        return next(word for word in words if word.startswith("10.9.0."))


@pytest.fixture
def party(overlay: Overlay) -> Party:
    """A public network."""
    return Party(overlay)


@contextmanager
def page(directory: Path) -> Iterator[int]:
    """A web server of the machine with one page, on a port that is yielded."""
    (directory / "index.html").write_text("hello")
    (directory / "large").write_bytes(bytes(3 << 20))
    script: Sequence[str] = (sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1")
    process = subprocess.Popen(
        [*script, "--directory", str(directory)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline().decode()
        yield int(told.partition("port ")[2].split()[0])
    finally:
        process.kill()
        process.communicate()


def test_a_page_of_one_node_is_fetched_by_another(party: Party, tmp_path: Path) -> None:
    with page(tmp_path) as port, party.running(4, "expose", str(port), "--listen", "80") as other:
        done = party.run(5, "call", f"http://{other.ip}/index.html", "-i")
    head, _, body = done.stdout.partition(b"\n\n")
    assert (head.splitlines()[0], body, done.returncode) == (b"HTTP/1.0 200 OK", b"hello", 0)


def test_a_large_page_goes_into_a_file(party: Party, tmp_path: Path) -> None:
    with page(tmp_path) as port, party.running(4, "expose", str(port), "--listen", "80") as other:
        done = party.run(5, "call", f"http://{other.ip}/large", "-o", str(tmp_path / "got"))
    assert (done.stdout, (tmp_path / "got").read_bytes()) == (b"", bytes(3 << 20))


def test_an_error_of_the_server_is_an_exit_status(party: Party, tmp_path: Path) -> None:
    with page(tmp_path) as port, party.running(4, "expose", str(port), "--listen", "80") as other:
        assert party.run(5, "call", f"http://{other.ip}/none").returncode == 22


def test_two_pipes_are_connected_with_half_close(party: Party) -> None:
    with (
        party.running(4, "listen", "7000") as other,
        party.running(5, "connect", other.ip, "7000") as caller,
    ):
        caller.say(b"question")
        assert other.hear() == b"question"
        other.say(b"answer")
        assert caller.hear() == b"answer"


def test_a_host_is_pinged(party: Party) -> None:
    with party.running(4, "listen", "7000") as other:
        done = party.run(5, "ping", other.ip, "-c", "3", "-i", "0.05", "-s", "2000")
    assert done.returncode == 0
    assert b"3 sent, 3 answered, 0 % lost" in done.stdout


def test_datagrams_are_carried(party: Party) -> None:
    with (
        party.running(4, "listen", "7000", "--udp") as other,
        party.running(5, "connect", other.ip, "7000", "--udp") as calling,
    ):
        assert calling.say_until_heard(b"ping\n", other) == b"ping\n"


def test_who_is_refused_is_told_in_one_sentence(party: Party) -> None:
    with party.running(4, "listen", "7000") as other:
        done = party.run(5, "connect", other.ip, "7001")
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (
        1,
        f"ztlink: {other.ip} port 7001: connection refused",
    )


def test_what_goes_out_goes_through_the_process_that_holds_the_home(
    party: Party, tmp_path: Path
) -> None:
    with (
        page(tmp_path) as port,
        party.running(4, "expose", str(port), "--listen", "80") as other,
        party.running(5, "listen", "7000"),
    ):
        done = party.run(5, "call", f"http://{other.ip}/index.html")
    assert (done.stdout, done.stderr, done.returncode) == (b"hello", b"", 0)


def test_datagrams_go_through_the_process_that_holds_the_home(party: Party) -> None:
    with (
        party.running(4, "listen", "7000", "--udp") as other,
        party.running(5, "listen", "7000"),
        party.running(5, "connect", other.ip, "7000", "--udp") as calling,
    ):
        assert calling.say_until_heard(b"ping\n", other) == b"ping\n"
        other.say(b"pong\n")
        calling.say(b"")
        assert (calling.hear(), calling.process.wait(PATIENCE)) == (b"pong\n", 0)


def test_what_listens_says_who_holds_the_home(party: Party) -> None:
    with party.running(5, "listen", "7000") as holder:
        done = party.run(5, "listen", "7001")
    assert done.returncode == 78
    assert f"process {holder.process.pid}".encode() in done.stderr
    assert b"--home" in done.stderr
