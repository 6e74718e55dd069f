"""Proof of work is checked in another process: packets need not wait some 30 ms.

The process reads identities from its input, a line each, and answers with a line each. It ends with
its input, so it outlives us by one check at most, however we end. A thread of ours waits for it; it
sleeps while there is nothing to check.
"""

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ztlink.wire.identity import Identity

logger = logging.getLogger(__name__)

MAX_PENDING: Final = 4096
NICENESS: Final = 19
"""Whoever floods us with identities gets what the packets leave."""
PAUSE: Final = 3.0
"""After a proof that was false: as many times as long as its check took. So a flood of them takes a
quarter of a processor at the most, where one is free; an honest proof waits for none."""
_GOOD: Final = b"good\n"
_BAD: Final = b"bad\n"
# -P: nothing is imported from where the node happens to be started.
_COMMAND: Final = (sys.executable, "-P", "-m", "ztlink.drivers.validator")

Done = Callable[[Identity, bool], object]


class Validator:
    """A process, started when the first identity is to be checked, and again if it ends."""

    def __init__(self) -> None:
        self._pending: queue.Queue[tuple[Identity, Done] | None] = queue.Queue()
        self._lock = threading.Lock()
        """Held while the process is started or killed."""
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def submit(self, identity: Identity, done: Done) -> None:
        """Check an identity; `done` is called in some thread with the verdict."""
        if self._is_closed or self._pending.qsize() >= MAX_PENDING:
            logger.debug("identity not checked address=%010x", identity.address)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ztlink-validator", daemon=True)
            self._thread.start()
        self._pending.put((identity, done))

    def close(self) -> None:
        """End the process; what was not checked yet never is."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
        if self._thread is not None:
            self._pending.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (job := self._pending.get()) is not None and not self._is_closed:
            identity, done = job
            # Once more with a new process: the former one may have ended long ago.
            verdict = self._ask(identity) or self._ask(identity)
            if verdict is not None:
                done(identity, verdict == _GOOD)
            elif not self._is_closed:
                logger.warning("identity not checked address=%010x", identity.address)
        self._forget()

    def _ask(self, identity: Identity) -> bytes | None:
        """Return the verdict, None where the process did not answer."""
        process = self._start()
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(f"{identity}\n".encode())
            verdict = process.stdout.readline()
        except OSError as error:
            logger.debug("the checking process ended error=%s", error)
            verdict = b""
        if verdict in (_GOOD, _BAD):
            return verdict
        self._forget()
        return None

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._process is None and not self._is_closed:
                try:
                    self._process = subprocess.Popen(  # noqa: S603 - our own module
                        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
                    )
                except OSError as error:
                    logger.warning("identities cannot be checked error=%s", error)
            return self._process

    def _forget(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes and waits for its end


def main() -> None:
    """Check identities until there are no more: what the process runs."""
    from ztlink.crypto.work import validate  # of this process alone: the node need not load it

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the node ends us in its own time
    os.nice(NICENESS)
    with suppress(OSError):  # its processor counts as idle, then, for what packets wake up
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for line in sys.stdin.buffer:
        identity = Identity.from_text(line.decode("ascii").strip())
        begin = time.process_time()
        is_good = validate(identity)
        sys.stdout.buffer.write(_GOOD if is_good else _BAD)
        sys.stdout.buffer.flush()
        if not is_good:
            time.sleep(PAUSE * (time.process_time() - begin))


if __name__ == "__main__":
    main()
