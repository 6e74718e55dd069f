"""What is loaded by whom: nobody waits for modules that are for others."""

import subprocess
import sys
from typing import Final

LATER: Final = frozenset(
    {
        "Crypto",  # the proof of work, which another process checks
        "aiohttp",
        "cffi",
        "prometheus_client",
        "pycparser",
        "pydantic",
        "pyroute2",
        "sqlite3",
        "yaml",
        "ztlink.api",
        "ztlink.controller",
        "ztlink.crypto.work",
        "ztlink.kube",
        "ztlink.netstack",
        "ztlink.services",
    }
)
"""What a node loads when its pump runs, or never."""
NEVER_FOR_A_CALL: Final = frozenset(
    {
        "Crypto",
        "aiohttp",
        "encodings.idna",
        "prometheus_client",
        "pydantic",
        "pyroute2",
        "yaml",
        "ztlink.api",
        "ztlink.controller",
        "ztlink.host.firewall",
        "ztlink.host.routes",
        "ztlink.services",
    }
)
OF_A_NODE: Final = LATER | {
    "asyncio",
    "cryptography",
    "http.client",
    "nacl",
    "numpy",
    "ztlink.node",
}
COMMAND: Final = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from ztlink.__main__ import main
main()
"""


THREADS: Final = """
import atexit, os, sys
def count():
    import numpy
    print(len(os.listdir("/proc/self/task")), file=sys.stderr)
atexit.register(count)
from ztlink.__main__ import main
main()
"""


def loaded(code: str, *arguments: str) -> set[str]:
    """Run code in a fresh interpreter and return the modules that it names."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", code, *arguments], capture_output=True, check=True, text=True
    )
    return set(done.stderr.split())


def test_a_list_of_the_commands_loads_nothing_that_only_a_node_needs() -> None:
    modules = loaded(COMMAND, "--help")
    assert ("ztlink.cli_run" in modules, modules & OF_A_NODE) == (True, set())


def test_a_command_loads_no_other() -> None:
    modules = {name for name in loaded(COMMAND, "join", "--help") if name.startswith("ztlink.cli_")}
    assert modules == {"ztlink.cli_node", "ztlink.cli_options"}


def test_a_node_is_loaded_without_what_it_needs_when_it_runs() -> None:
    modules = loaded("import sys, ztlink.agent; print(*sys.modules, file=sys.stderr)")
    assert ("ztlink.drivers.loop" in modules, modules & LATER) == (True, set())


def test_a_request_is_made_by_little_more_than_a_node() -> None:
    modules = loaded(
        "import sys, ztlink.cli_user, ztlink.cli_call, ztlink.aio.node; "
        "print(*sys.modules, file=sys.stderr)"
    )
    assert ("h11" in modules, modules & NEVER_FOR_A_CALL) == (True, set())


def test_numpy_starts_no_threads_for_a_command() -> None:
    assert loaded(THREADS, "join", "--help") == {"1"}
