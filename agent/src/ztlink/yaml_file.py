"""Reading a YAML file into a checked value: every mistake at once, each with what would be right.

A model derives from `Model`: its keys are in camelCase, values keep their kind ("9993" is no
number, 1 is no truth), and what is not known is refused.
"""

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from ztlink.bounded_file import read_bounded
from ztlink.errors import ConfigError

MAX_FILE: Final = 8 << 20
"""Bytes: ten thousand routes are one of them; a ConfigMap holds one MiB."""
_MAX_VALUES: Final = 1_000_000
"""Of a file with all that its aliases stand for."""
_MAX_MISTAKES: Final = 100
_MAX_SHOWN: Final = 60
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""In a file these can be written as escapes alone; nobody means them."""
_NO_MAPPING: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})
_SECRET: Final = re.compile(r"secret|token|identity", re.IGNORECASE)
"""Keys whose values are not repeated: they may hold keys."""

_SHOW: Final = reprlib.Repr()
_SHOW.maxstring = _SHOW.maxother = 2 * _MAX_SHOWN


class Model(BaseModel):
    """The base of what a file may hold."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, validate_by_name=True
    )
    former_keys: ClassVar[Mapping[str, str]] = {}
    """What keys were named before, and are named now."""


def _absolute(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("should be an absolute path such as /var/lib/zerotier-k8s-link")
    return Path(value)


AbsolutePath = Annotated[
    Path, BeforeValidator(_absolute), WithJsonSchema({"type": "string", "pattern": "^/"})
]


def _ip_or_nothing(value: str) -> str:
    try:
        return value and str(ip_address(value))
    except ValueError:
        raise ValueError("should be an IP address such as 192.0.2.1, or empty") from None


IpOrNothing = Annotated[
    str,
    AfterValidator(_ip_or_nothing),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"const": ""}, {"format": "ipv4"}, {"format": "ipv6"}],
        }
    ),
]

M = TypeVar("M", bound=Model)


class _Loader(yaml.SafeLoader):
    """Refuses what YAML forbids or nobody means, and PyYAML lets pass; each with its line.

    That is a key that is there twice, values that are not what their look or tag says, and aliases
    that make a small file an endless one.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _weigh(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _wrong(key_node, "a key should be a word")
            key = key_node.value
            if key in seen:
                raise _wrong(key_node, f"the key {key!r} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            kind = node.tag.rpartition(":")[2]
            raise _wrong(node, f"is written as {kind}, and is none: put it in quotes") from None
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            raise _wrong(node, "holds a character that cannot be printed: leave it out")
        return value


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _weigh(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Return how many values a node stands for, each time that an alias names them again."""
    if node in known:
        if not known[node]:
            raise _wrong(node, "holds itself by an alias: write out what is meant")
        return known[node]
    known[node] = 0  # while it is looked at
    count = 1
    if isinstance(node, yaml.MappingNode):
        count += sum(_weigh(key, known) + _weigh(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_weigh(one, known) for one in node.value)
    if count > _MAX_VALUES:
        raise _wrong(node, f"stands for more than {_MAX_VALUES} values by aliases: use fewer")
    known[node] = count
    return count


def read_yaml(file: Path, model: type[M]) -> M:
    """Return what a file says; ConfigError names all that is wrong in it."""
    return check(load_yaml(file), model, file)


def load_yaml(file: Path) -> dict[str, Any]:
    """Return the keys and values of a file, which nothing has checked."""
    content = _load(file)
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: should hold keys and values, such as 'port: 9993'")
    return content


def check(
    content: dict[str, Any],
    model: type[M],
    file: Path,
    origins: Mapping[str, str] = MappingProxyType({}),
) -> M:
    """Return what keys and values mean; ConfigError names all that is wrong in them.

    `origins` says of the paths that are not from the file where they are from.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        mistakes = [_describe(model, one, origins) for one in error.errors(include_url=False)]
        raise mistaken(file, mistakes) from None


def mistaken(file: Path, mistakes: Iterable[str]) -> ConfigError:
    """Return the error of a file with mistakes: all of them, a line each."""
    told = list(mistakes)
    more = [f"and {len(told) - _MAX_MISTAKES} more"] if len(told) > _MAX_MISTAKES else []
    return ConfigError("\n  ".join([f"{file}:", *told[:_MAX_MISTAKES], *more]))


def _load(file: Path) -> object:
    try:
        text = read_bounded(file, MAX_FILE)
        if len(text) > MAX_FILE:
            raise ConfigError(f"{file} has more than {MAX_FILE >> 20} MiB: is it the right file?")
        content = yaml.load(text.decode(), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not YAML: {_where(error)}") from None
    return {} if content is None else content


def _where(error: Exception) -> str:
    """Say what is wrong in a line, without the surroundings: keys may stand there."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1} of it, U+{error.character:04X}, is not allowed"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "it is not text in UTF-8"
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _describe(
    model: type[Model],
    mistake: Any,  # noqa: ANN401 - pydantic's ErrorDetails
    origins: Mapping[str, str],
) -> str:
    """Say a mistake: the path of the key, the value, and what would be right."""
    location, kind = mistake["loc"], mistake["type"]
    path = _path(location)
    path += f" ({origins[path]})" if path in origins else ""
    if kind == "extra_forbidden":
        return f"{path}: is not a key here{_known(model, location)}"
    if kind == "missing":
        return f"{path}: is missing"
    wanted = mistake["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if kind in _NO_MAPPING:
        wanted = "should be keys and values"
    if not location or isinstance(mistake["input"], dict):
        return f"{path}: {wanted}"
    return f"{path}: {_shown(path, mistake['input'])}: {wanted}"


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).lstrip(".") or "the file"


def _shown(path: str, value: object) -> str:
    if _SECRET.search(path.rpartition(".")[2]):
        return "the value"
    text = _SHOW.repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _known(model: type[Model], location: tuple[int | str, ...]) -> str:
    """Suggest the key that was meant, else name all that there are."""
    inner: type[Model] | None = model
    for step in location[:-1]:
        if inner is not None and isinstance(step, str):
            inner = _model_at(inner, step)
    if inner is None:
        return ""
    keys = [field.alias or name for name, field in inner.model_fields.items()]
    unknown = str(location[-1])
    close = [inner.former_keys.get(unknown, ""), *get_close_matches(unknown, keys, n=1)]
    close = [key for key in close if key]
    return f": did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(keys))}"


def _model_at(model: type[Model], key: str) -> type[Model] | None:
    for field in model.model_fields.values():
        if field.alias == key:
            return next(_models(field.annotation), None)
    return None


def _models(annotation: object) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
