"""Files in YAML: all that is wrong with one is told at once, with what would be right."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from ztlink.errors import ConfigError
from ztlink.yaml_file import AbsolutePath, Model, read_yaml


class Wheel(Model):
    size: Annotated[int, Field(ge=1, le=40)] = 20
    is_flat: bool = False


class Bicycle(Model):
    home: AbsolutePath = Path("/garage")
    front_wheel: Wheel = Field(default_factory=Wheel)
    wheels: list[Wheel] = Field(default_factory=list)
    lock_token: int = 0
    owner: str


def read(tmp_path: Path, text: str) -> Bicycle:
    file = tmp_path / "bicycle.yaml"
    file.write_text(text)
    return read_yaml(file, Bicycle)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_keys_are_in_camel_case(tmp_path: Path) -> None:
    assert read(tmp_path, "owner: me\nfrontWheel: {isFlat: true}").front_wheel.is_flat


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = "home: garage\nfrontWheel: {size: 99}\nwheels: [{}, {isFlat: 1}]\n"
    lines = refusal(tmp_path, text).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "home",
        "frontWheel.size",
        "wheels[1].isFlat",
        "owner",
    ]


def test_a_mistake_has_its_value_and_what_would_be_right(tmp_path: Path) -> None:
    said = refusal(tmp_path, "owner: me\nfrontWheel: {size: 99}")
    assert "frontWheel.size: 99: should be less than or equal to 40" in said


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "owner: is missing" in refusal(tmp_path, "{}")


def test_a_misspelt_key_is_told_the_right_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, "owner: me\nwheels: [{sise: 3}]")
    assert "wheels[0].sise: is not a key here: did you mean size?" in said


def test_a_key_that_is_like_none_is_told_all_that_there_are(tmp_path: Path) -> None:
    said = refusal(tmp_path, "owner: me\nfrontWheel: {colour: red}")
    assert "frontWheel.colour: is not a key here; there are isFlat, size" in said


@pytest.mark.parametrize("text", ["size: '20'", "size: true", "isFlat: 1", "isFlat: 'yes'"])
def test_values_keep_their_kind(tmp_path: Path, text: str) -> None:
    assert "frontWheel." in refusal(tmp_path, f"owner: me\nfrontWheel: {{{text}}}")


def test_a_value_that_may_be_secret_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, "owner: me\nlockToken: hunter2")


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, f"owner: me\nwheels: {'x' * 5000}")) < 300


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "owner: me\nowner: you")
    assert "line 2, column 1: the key 'owner' is there twice" in said


@pytest.mark.parametrize("text", ["owner: [", "\tx", "a: b: c", "!!python/object:os.system {}"])
def test_what_is_not_yaml_is_said_with_the_line(tmp_path: Path, text: str) -> None:
    assert "is not YAML: line 1" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("owner: me\n? [a, b]\n: c", "line 2, column 3: a key should be a word"),
        ("owner: 2026-13-45", "line 1, column 8: is written as timestamp, and is none"),
        (f"lockToken: {'9' * 5000}", "is written as int, and is none"),
        ("lockToken: 0x_", "is written as int, and is none"),
        ("lockToken: !!bool hunter2", "is written as bool, and is none"),
        ("lockToken: !!timestamp hunter2", "is written as timestamp, and is none"),
        ('home: "/a\\0b"', "line 1, column 7: holds a character that cannot be printed"),
        ('owner: "\\ud800"', "holds a character that cannot be printed"),
        ('"\\ud800": 1', "holds a character that cannot be printed"),
        ("wheels: &wheels [*wheels]", "line 1, column 9: holds itself by an alias"),
    ],
)
def test_a_value_that_means_nothing_is_said_with_the_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    said = refusal(tmp_path, text)
    assert complaint in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[" * 5000, "it is nested too deeply"),
        ("owner: a\0b", "character 9 of it, U+0000, is not allowed"),
    ],
    ids=["depth", "character"],
)
def test_what_is_no_yaml_at_all_is_said(tmp_path: Path, text: str, complaint: str) -> None:
    assert refusal(tmp_path, text).endswith(complaint)


def test_aliases_do_not_make_a_small_file_a_large_one(tmp_path: Path) -> None:
    nested = (f"k{at}: &a{at + 1} [{', '.join([f'*a{at}'] * 9)}]" for at in range(12))
    said = refusal(tmp_path, "\n".join(["one: &a0 [x, x, x, x, x, x, x, x, x]", *nested]))
    assert "values by aliases: use fewer" in said


def test_a_value_of_many_parts_is_cut(tmp_path: Path) -> None:
    shared = f"owner: &them [{', '.join(['me'] * 900)}]\n"
    assert len(refusal(tmp_path, f"{shared}wheels: [{', '.join(['*them'] * 900)}]")) < 10_000


def test_of_very_many_mistakes_the_first_are_told(tmp_path: Path) -> None:
    said = refusal(tmp_path, f"owner: me\nwheels: [{', '.join(['1'] * 5000)}]")
    assert len(said.splitlines()) == 102
    assert said.endswith("and 4900 more")


def test_a_file_of_an_unlikely_size_is_not_read(tmp_path: Path) -> None:
    assert "more than 8 MiB: is it the right file?" in refusal(tmp_path, "#" * (8 << 20 | 1))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bicycle.yaml"
    file.write_bytes(b"owner: \xff")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        read_yaml(file, Bicycle)


def test_a_list_is_no_configuration(tmp_path: Path) -> None:
    assert "should hold keys and values" in refusal(tmp_path, "[1, 2]")


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert "owner: is missing" in refusal(tmp_path, "# nothing\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        read_yaml(tmp_path / "nowhere.yaml", Bicycle)
