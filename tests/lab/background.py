"""Something that is done again and again while a test does something else."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """A context in which `step` is done over and over, in a thread of its own."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            self.step()

    @abstractmethod
    def step(self) -> None:
        """Do it once, in less than a second; the thread of the test waits for no longer."""

    @abstractmethod
    def close(self) -> None:
        """Give back what `step` used, when it is done no more."""
