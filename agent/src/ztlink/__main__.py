"""The program: `ztlink`, and `python -m ztlink`."""

import os
import signal
import sys


def main() -> None:
    """Run the command line."""
    if os.getpid() == 1:
        # The kernel keeps from the first process of a container whatever it has no handler for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from ztlink.cli import main as run

    run()


if __name__ == "__main__":
    main()
