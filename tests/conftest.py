"""For all tests: who is skipped and why, how long Hypothesis looks, who may do I/O."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from tests.guard import QUIET_DIRECTORIES, refuse_io
from tests.rights import (
    missing_for_browser,
    missing_for_image,
    missing_for_interop,
    missing_for_netadmin,
    missing_for_prometheus,
    missing_for_resolvconf,
    missing_for_resolved,
)
from tests.scale import SOAK

_HERE: Final = Path(__file__).parent
_CONNECT: Final = sqlite3.connect

# Repeatable by default: the same examples in every run, and nothing kept between them.
settings.register_profile("ci", derandomize=True, max_examples=100, database=None, deadline=None)
settings.register_profile("soak", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("soak" if SOAK else "ci")


def _missing_for_soak() -> str | None:
    return None if SOAK else "needs ZTLINK_SOAK=1"


_MISSING: Final[dict[str, Callable[[], str | None]]] = {
    "netadmin": missing_for_netadmin,
    "image": missing_for_image,
    "interop": missing_for_interop,
    "browser": missing_for_browser,
    "prometheus": missing_for_prometheus,
    "resolvconf": missing_for_resolvconf,
    "resolved": missing_for_resolved,
    "soak": _missing_for_soak,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a reason, what this machine cannot run."""
    reasons = {marker: missing() for marker, missing in _MISSING.items()}
    for item in items:
        for marker, reason in reasons.items():
            if reason is not None and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _guard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse sockets and sleeps to the tests that are to do without."""
    if request.path.relative_to(_HERE).parts[0] in QUIET_DIRECTORIES:
        refuse_io(monkeypatch)


@pytest.fixture(autouse=True)
def _databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the databases that a test leaves open, most of them in memory: 3.13 warns of each."""
    opened: list[sqlite3.Connection] = []

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - as it is
        opened.append(_CONNECT(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    yield
    for database in opened:
        with suppress(sqlite3.ProgrammingError):  # of another thread
            database.close()
