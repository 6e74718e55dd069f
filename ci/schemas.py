"""Makes schemas of the Kubernetes API that kubeconform reads without a network.

The PyPI package kubernetes-validate carries them, for another program: its files name themselves
and their shared definitions by addresses, which kubeconform would go and fetch.
"""

import json
from pathlib import Path
from typing import Final

DEFINITIONS: Final = "_definitions.json"


def localise(schema: object) -> object:
    """Return a schema that refers to the shared definitions beside it, and names no address."""
    if isinstance(schema, list):
        return [localise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        # As the name of a property of a CustomResourceDefinition such a key has an object.
        if not isinstance(value, str) or key not in ("$id", "$schema", "$ref"):
            result[key] = localise(value)
        elif key == "$ref":
            result[key] = _local_reference(value)
    return result


def _local_reference(reference: str) -> str:
    file, mark, fragment = reference.partition("#")
    return f"{DEFINITIONS}#{fragment}" if mark and file.endswith(f"/{DEFINITIONS}") else reference


def write_schemas(source: Path, version: str, target: Path) -> None:
    """Write the strict schemas of one version: those that refuse unknown keys."""
    folder = source / f"v{version}-local-strict"
    if not folder.is_dir():
        raise FileNotFoundError(f"{source} has no schemas of Kubernetes {version}")
    written = target / f"v{version}-strict"
    written.mkdir(parents=True)
    for file in folder.glob("*.json"):
        schema = localise(json.loads(file.read_text()))
        (written / file.name).write_text(json.dumps(schema, separators=(",", ":")))
