"""What a JSON Schema takes, key by key, so that two of them can be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]

OF_TYPES: Final = {str: "string", bool: "boolean", int: "integer"}


@dataclass(frozen=True)
class Taken:
    """What a key may be; null is left out, as it says the same as no key at all."""

    types: frozenset[str] = frozenset()
    choices: frozenset[str] = frozenset()
    bounds: frozenset[tuple[str, int]] = frozenset()
    is_required: bool = False


def taken(schema: Json, path: str, root: Json) -> dict[str, Taken]:
    """Return what a schema takes at a path of it, such as `agent.firewall`, and below."""
    found = schema
    for key in path.split("."):
        (found,) = (one["properties"][key] for one in _variants(found, root))
    return dict(_walk(found, "", root, is_required=False))


def _walk(schema: Json, path: str, root: Json, *, is_required: bool) -> Iterator[tuple[str, Taken]]:
    variants = [one for one in _variants(schema, root) if one.get("type") != "null"]
    types: set[str] = set()
    for one in variants:
        types |= _types(one)
        for key, inner in one.get("properties", {}).items():
            must = key in one.get("required", ())
            yield from _walk(inner, f"{path}.{key}".lstrip("."), root, is_required=must)
        if "items" in one:
            yield from _walk(one["items"], f"{path}[]", root, is_required=False)
    choices = {value for one in variants for value in one.get("enum", ())}
    bounds = {(key, one[key]) for one in variants for key in ("minimum", "maximum") if key in one}
    of_all = (frozenset(types), frozenset(choices), frozenset(bounds))
    yield path, Taken(*of_all, is_required=is_required)


def _types(one: Json) -> set[str]:
    if "enum" in one:
        return {OF_TYPES[type(value)] for value in one["enum"]}
    if "const" in one:
        return {OF_TYPES[type(one["const"])]}
    said = one["type"]
    return {said} if isinstance(said, str) else set(said) - {"null"}


def _variants(schema: Json, root: Json) -> list[Json]:
    """Return the alternatives that a schema is of, references followed."""
    if "$ref" in schema:
        return _variants(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        outer = {key: value for key, value in schema.items() if key != "anyOf"}
        return [{**outer, **one} for inner in schema["anyOf"] for one in _variants(inner, root)]
    return [schema]
