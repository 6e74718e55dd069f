"""What the local API reads and writes of the home: tokens, what networks may do, local.conf."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from ztlink.api.body import Json
from ztlink.host.policies import Policies


@dataclass(slots=True)
class ApiHome:
    """The home as the API sees it."""

    token: str = field(repr=False)
    metrics_token: str = field(repr=False)
    policies: Policies
    read_conf: Callable[[], bytes | None]
    write_conf: Callable[[bytes], None]

    def local_conf(self) -> Json:
        """Return the content of local.conf; ValueError where it is no JSON object."""
        content = (self.read_conf() or b"").strip() or b"{}"
        try:
            conf = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"local.conf is not JSON ({error}): mend it first") from error
        if not isinstance(conf, dict):
            raise ValueError("local.conf is not a JSON object: mend it first")
        return conf

    def shown_conf(self) -> Json:
        """Return the content of local.conf; of one that is damaged nothing is shown."""
        try:
            return self.local_conf()
        except ValueError:
            return {}

    def merge_settings(self, changed: Json) -> None:
        """Put values into the settings of local.conf; ValueError where it cannot be read."""
        conf = self.local_conf()
        settings = conf.get("settings")
        conf["settings"] = (settings if isinstance(settings, dict) else {}) | changed
        self.write_conf(json.dumps(conf, indent=4, sort_keys=True).encode() + b"\n")
