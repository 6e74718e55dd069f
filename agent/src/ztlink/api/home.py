"""What the local API knows of its node beside the core: tokens, policies, local.conf, ports."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from ztlink.api.body import Json
from ztlink.drivers.binder import Bound
from ztlink.errors import ConfigError
from ztlink.host.policies import Policies
from ztlink.local_conf import LOCAL_CONF, parse_local_conf
from ztlink.wire.world import World


@dataclass(slots=True)
class ApiHome:
    """The home, and what was made of it, as the API sees them."""

    token: str = field(repr=False)
    metrics_token: str = field(repr=False)
    policies: Policies
    read_conf: Callable[[], bytes | None]
    write_conf: Callable[[bytes], None]
    read_moon: Callable[[int], World | None]
    """Returns the moon whose file is in the home; ConfigError where that is none."""
    bound: Callable[[], Bound] = Bound
    """Tells the UDP ports in use."""

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
        """Put values into the settings of local.conf; ValueError where that makes no sense.

        The node would not start with such a file.
        """
        conf = self.local_conf()
        settings = conf.get("settings")
        conf["settings"] = (settings if isinstance(settings, dict) else {}) | changed
        text = json.dumps(conf, indent=4, sort_keys=True).encode() + b"\n"
        try:
            parse_local_conf(text, LOCAL_CONF)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        self.write_conf(text)
