"""How long the long tests are: a tenth of the full counts, or all of them by ZTLINK_SOAK=1."""

import os
from typing import Final

SOAK: Final = os.environ.get("ZTLINK_SOAK", "") not in ("", "0")
_DIVISOR: Final = 10


def scaled(count: int, *, soak: bool = SOAK) -> int:
    """Return the full count in a soak, otherwise a tenth of it, at least 1."""
    return count if soak else max(1, count // _DIVISOR)
