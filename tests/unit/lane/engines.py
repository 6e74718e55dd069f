"""The engines that are here: all run the same tests."""

from ztlink.lane.engine import Engine
from ztlink.lane.plain import PlainEngine
from ztlink.lane.portable import PortableEngine

ENGINES: list[Engine] = [PlainEngine(), PortableEngine()]
NAMES = [engine.name for engine in ENGINES]
