import json
from pathlib import Path
from typing import Any

import pytest

from ci.schemas import localise, write_schemas


def test_a_schema_names_no_address() -> None:
    schema = {"$id": "/api/pod.json", "$schema": "http://json-schema.org/schema#", "type": "object"}
    assert localise(schema) == {"type": "object"}


@pytest.mark.parametrize(
    ("reference", "local"),
    [
        ("/api/_definitions.json#/definitions/Pod", "_definitions.json#/definitions/Pod"),
        ("#/definitions/Pod", "#/definitions/Pod"),
        ("/api/other.json#/Pod", "/api/other.json#/Pod"),
    ],
)
def test_references_lead_to_the_file_beside(reference: str, local: str) -> None:
    assert localise([{"$ref": reference}]) == [{"$ref": local}]


@pytest.mark.parametrize("name", ["$id", "$schema", "$ref"])
def test_properties_of_such_names_stay(name: str) -> None:
    schema: dict[str, Any] = {"properties": {name: {"type": "string"}}}
    assert localise(schema) == schema


def test_strict_schemas_are_written_per_version(tmp_path: Path) -> None:
    source = tmp_path / "source" / "v1.36.0-local-strict"
    source.mkdir(parents=True)
    (source / "pod-v1.json").write_text('{"$id": "/api/pod.json", "type": "object"}')
    write_schemas(tmp_path / "source", "1.36.0", tmp_path / "target")
    written = tmp_path / "target" / "v1.36.0-strict" / "pod-v1.json"
    assert json.loads(written.read_text()) == {"type": "object"}


def test_a_version_without_schemas_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no schemas of Kubernetes 1\.2\.0"):
        write_schemas(tmp_path, "1.2.0", tmp_path / "target")
