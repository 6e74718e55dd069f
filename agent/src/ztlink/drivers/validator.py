"""Proof of work is checked in another process: packets need not wait a tenth of a second."""

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ztlink.crypto.identity import validate
from ztlink.wire.identity import Identity

logger = logging.getLogger(__name__)


class Validator:
    """A process, started when the first identity is to be checked."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, identity: Identity, done: Callable[[Identity, bool], object]) -> None:
        """Check an identity; `done` is called in some thread with the verdict."""
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPoolExecutor(1, mp_context=context)

        def finished(future: "Future[bool]") -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is not None:
                logger.warning(
                    "identity not checked address=%010x error=%s", identity.address, error
                )
                return
            done(identity, future.result())

        try:
            self._pool.submit(validate, identity).add_done_callback(finished)
        except (BrokenProcessPool, RuntimeError) as error:
            logger.warning("identity checks end error=%s", error)

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
