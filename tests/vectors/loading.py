"""Reads the golden bytes: from beside this file, or from the folder named by ZTLINK_VECTORS."""

import functools
import json
import os
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ.get("ZTLINK_VECTORS") or Path(__file__).parent / "data")


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the content of one vector file, e.g. `load("armor.json")`."""
    content: dict[str, Any] = json.loads((DIRECTORY / name).read_text())
    return content
