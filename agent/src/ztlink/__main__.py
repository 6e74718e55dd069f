"""The program: `ztlink`, and `python -m ztlink`."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line."""
    if os.getpid() == 1:
        # The kernel keeps from the first process of a container whatever it has no handler for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # We multiply no matrices: the threads that numpy's OpenBLAS starts for that, one a processor,
    # would spin for a tenth of a second and then lie about.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Modules are loaded to stay: looking for garbage among them takes a tenth of that time. A node
    # that runs has it looked for again; commands end before there is any.
    gc.disable()
    from ztlink.cli import main as run

    run()


if __name__ == "__main__":
    main()
