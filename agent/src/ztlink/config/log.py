"""What the YAML says of the log."""

from typing import Literal

from ztlink.settings import LogFormat, LogSettings
from ztlink.yaml_file import Model

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class LogEntry(Model):
    """What is logged, and how."""

    level: Level = "INFO"
    format: Literal["json", "console"] = "console"

    def settings(self, level: Level | None) -> LogSettings:
        """Return what it means; `level` is that of the file's older key."""
        return LogSettings(level or self.level, LogFormat(self.format))
