"""bootstrap: what is run in a pod of a cluster."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.rig import run


def test_bootstrap_runs_in_a_pod_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = tmp_path / "bootstrap.yaml"
    keys = ("namespace", "secretName", "worldConfigMapName", "networkConfigMapName")
    content = {**dict.fromkeys(keys, "x"), "endpoints": ["192.0.2.5/9993"]}
    file.write_text(json.dumps(content))
    said = run("bootstrap", "--config", str(file))
    assert (said.exit_code, "runs in a pod" in said.output) == (78, True)


def test_all_mistakes_in_its_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "bootstrap.yaml"
    file.write_text("endpoints: [x]\nnamespace: UPPER\n")
    said = run("bootstrap", "--config", str(file))
    assert said.exit_code == 78
    assert {"namespace", "secretName", "endpoints[0]"} <= {
        line.split(":")[0].strip() for line in said.output.splitlines()
    }
