"""The chart as Helm renders it, and the tools that judge it: those of `make tools`."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ci.toolchain import KUBERNETES, TOOLS, Cache, default_cache, read_pin

Json = dict[str, Any]
Render = Callable[..., list[Json]]

TOP: Final = Path(__file__).parents[2]
CHART: Final = TOP / "charts" / "zerotier-k8s-link"
CASES: Final = sorted(file.name for file in (CHART / "ci").glob("*-values.yaml"))
READ_YAML: Final = "import json, sys, yaml; print(json.dumps([*yaml.safe_load_all(sys.stdin)]))"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Programs by name, run at the top of the checkout."""

    cache: Cache

    def path(self, name: str) -> Path:
        """Return the file of a program, of Go by its folder in ci/tools, or of Python."""
        if (TOOLS / name).is_dir():
            return self.cache.program(read_pin(TOOLS / name))
        return self.cache.python() / "bin" / name

    def run(self, name: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program; others of the box are in its PATH."""
        folders = [str(self.path(other).parent) for other in ("helm", "python")]
        search = os.pathsep.join([*folders, os.environ["PATH"]])
        return subprocess.run(
            [str(self.path(name)), *arguments],
            cwd=TOP,
            env=os.environ | {"PATH": search, "HELM_NO_PLUGINS": "1"},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def passes(self, name: str, *arguments: str, text: str = "") -> str:
        """Run a program that must be content; return what it printed."""
        done = self.run(name, *arguments, text=text)
        assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    box = Toolbox(default_cache(os.environ))
    for name in ("helm", "python"):
        if not box.path(name).exists():
            pytest.skip(f"{name} is not there: `make tools` builds it")
    return box


@pytest.fixture(scope="session")
def manifests(toolbox: Toolbox) -> Callable[..., str]:
    """Render the chart with one of its cases, and further arguments of Helm: text."""
    rendered: dict[tuple[str, ...], str] = {}

    def render(case: str, *arguments: str) -> str:
        key = (case, *arguments)
        if key not in rendered:
            version = ["--kube-version", KUBERNETES[-1], "--namespace", "zerotier"]
            values = ["--values", str(CHART / "ci" / case)]
            command = ["template", "mesh", str(CHART), *version, *values, *arguments]
            rendered[key] = toolbox.passes("helm", *command)
        return rendered[key]

    return render


@pytest.fixture(scope="session")
def render(toolbox: Toolbox, manifests: Callable[..., str]) -> Render:
    """Render the chart with one of its cases, and further arguments of Helm: objects."""

    def read(case: str, *arguments: str) -> list[Json]:
        text = manifests(case, *arguments)
        objects: list[Json] = json.loads(toolbox.passes("python", "-c", READ_YAML, text=text))
        return objects

    return read
