"""The schema of the file, and what one says in effect."""

import json
from pathlib import Path

from ztlink.config.file import NodeFile, read_file
from ztlink.config.show import effective, schema

ID = "112972485d000001"


def rows(tmp_path: Path, text: str, **environment: str) -> dict[str, tuple[object, str]]:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return {key: (value, origin) for key, value, origin in effective(read_file(file, environment))}


def test_every_value_is_shown_with_its_origin(tmp_path: Path) -> None:
    shown = rows(tmp_path, "port: 19993", ZTLINK_LOG_LEVEL="ERROR", NODE_NAME="worker-1")
    assert shown["port"] == (19993, "file")
    assert shown["onStop"] == ("remove", "default")
    assert shown["log.level"] == ("ERROR", "ZTLINK_LOG_LEVEL")
    assert shown["nodeName"] == ("worker-1", "the environment or the host")


def test_networks_are_shown_by_their_ids(tmp_path: Path) -> None:
    shown = rows(tmp_path, f'networks: [{{id: "{ID}"}}]', ZEROTIER_NETWORK_ID="8056c2e21c000001")
    assert shown["networks[0].id"] == (ID, "file")
    assert shown["networks[1].id"] == ("8056c2e21c000001", "ZEROTIER_NETWORK_ID")


def test_what_is_in_a_file_of_its_own_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "id").write_text(ID)
    shown = rows(tmp_path, f"networks: [{{idFile: {tmp_path}/id}}]")
    assert shown["networks[0].idFile"] == (tmp_path / "id", "file")
    assert ID not in str(shown)


def test_the_schema_knows_every_key_and_refuses_others() -> None:
    made = schema()
    assert made["properties"].keys() == {
        field.alias for field in NodeFile.model_fields.values() if field.alias
    }
    objects = [made, *made["$defs"].values()]
    assert all(one["additionalProperties"] is False for one in objects)


def test_the_schema_takes_ids_as_text_and_paths_that_are_absolute() -> None:
    made = schema()
    network = made["$defs"]["NetworkEntry"]["properties"]
    assert network["id"]["anyOf"][0] == {"type": "string", "pattern": "^[0-9a-fA-F]{16}$"}
    assert made["properties"]["home"]["pattern"] == "^/"


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(schema()))["$schema"].startswith("https://json-schema.org/")
