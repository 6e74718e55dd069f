"""What the YAML may say, and what one says in effect: for people, editors and other programs."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from ztlink.config.file import NodeFile, Reading
from ztlink.yaml_file import Model

DIALECT: Final = GenerateJsonSchema.schema_dialect


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that are but the names of keys again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - pydantic's own
        return False


def schema() -> JsonSchemaValue:
    """Return the JSON Schema of the file; what no model knows is refused in it, too."""
    made = NodeFile.model_json_schema(by_alias=True, schema_generator=_Untitled)
    return {"$schema": DIALECT, **made, "title": "Configuration of a ztlink agent"}


def effective(reading: Reading) -> list[tuple[str, object, str]]:
    """Return every value by its path, and where it comes from.

    Nothing of it is secret: what is, is in files, of which the names alone are here.
    """
    return list(_rows(reading.said, "", reading))


def _rows(part: Model, path: str, reading: Reading) -> Iterator[tuple[str, object, str]]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        inner = f"{path}.{field.alias or name}".lstrip(".")
        origin = "file" if name in part.model_fields_set else "default"
        yield from _row(inner, value, reading.origins.get(inner, origin), reading)


def _row(
    path: str, value: object, origin: str, reading: Reading
) -> Iterator[tuple[str, object, str]]:
    if isinstance(value, Model):
        yield from _rows(value, path, reading)
    elif isinstance(value, list) and value and isinstance(value[0], Model):
        for index, one in enumerate(value):
            yield from _rows(one, f"{path}[{index}]", reading)
    elif path.startswith("networks[") and path.endswith("].id"):
        if isinstance(value, int):
            yield path, f"{value:016x}", origin
    elif path == "nodeName" and not value:
        yield path, reading.settings.node_name, "the environment or the host"
    elif path == "http.address" and not value and reading.settings.http is not None:
        yield path, str(reading.settings.http.ip), "the environment or the default"
    elif value is not None:
        yield path, value, origin
