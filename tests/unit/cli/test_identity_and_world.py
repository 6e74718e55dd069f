"""identity and world: files that are made, checked and shown; private keys that are not."""

import stat
from pathlib import Path

import pytest

from tests.unit.cli.rig import run
from tests.unit.vl1.mesh import identity
from ztlink.crypto.identity import verify
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.world import World, WorldType

SECRET = identity(0)
TEXT = SECRET.to_text()
PRIVATE = SECRET.private_key.hex()
PUBLIC = str(SECRET.public)
FORGED = TEXT.replace(TEXT[:10], "0123456789", 1)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "identity.secret"
    file.write_text(TEXT)
    return file


# -- identities ----------------------------------------------------------------------------------


def test_an_identity_is_made_that_is_good(tmp_path: Path) -> None:
    file = tmp_path / "new.secret"
    run("identity", "generate", str(file))
    assert run("identity", "validate", str(file)).output.endswith(" is a valid identity\n")


def test_a_new_identity_is_closed_to_others_and_its_public_half_is_beside_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "new.secret"
    shown = run("identity", "generate", str(file)).output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (tmp_path / "new.public").read_text() == shown.strip()


def test_an_identity_is_not_written_over(secret: Path) -> None:
    result = run("identity", "generate", str(secret))
    assert (result.exit_code, secret.read_text()) == (1, TEXT)


@pytest.mark.parametrize("text", [TEXT, PUBLIC, f" {TEXT}\n"])
def test_a_good_identity_is_valid(text: str) -> None:
    result = run("identity", "validate", text)
    assert (result.exit_code, result.output) == (0, f"{TEXT[:10]} is a valid identity\n")


def test_a_good_file_is_valid(secret: Path) -> None:
    assert run("identity", "validate", str(secret)).exit_code == 0


@pytest.mark.parametrize(
    "text",
    [
        FORGED,
        f"{PUBLIC}:{identity(1).private_key.hex()}",
        f"{PUBLIC[:-1]}",
        f"{TEXT}:",
    ],
    ids=["address", "private keys", "short", "more"],
)
def test_a_bad_identity_is_1_and_its_private_keys_are_not_shown(text: str) -> None:
    result = run("identity", "validate", text)
    assert (result.exit_code, result.stderr.startswith("ztlink: ")) == (1, True)
    assert text[-64:] not in result.output


@pytest.mark.parametrize("text", [f"x{TEXT}", "/nonexistent", "", "\0"])
def test_what_is_neither_text_nor_file_is_78_and_is_not_shown_whole(text: str) -> None:
    result = run("identity", "show", text)
    assert (result.exit_code, PRIVATE in result.output) == (78, False)


def test_showing_an_identity_leaves_its_private_keys_out(secret: Path) -> None:
    assert run("identity", "show", str(secret)).output == f"{PUBLIC}\n"


# -- worlds --------------------------------------------------------------------------------------


def make(tmp_path: Path, *options: str, root: str = f"{PUBLIC}@10.0.0.1/9993,fd00::1/9993") -> int:
    """Make a world, signed by a key that is there already."""
    key = tmp_path / "key"
    key.write_text(identity(1).to_text())
    out = str(tmp_path / "planet")
    return run(
        "world", "create", "--root", root, "--out", out, "--key", str(key), *options
    ).exit_code


def made(tmp_path: Path) -> World:
    return World.decode(Reader((tmp_path / "planet").read_bytes()))


def test_a_planet_names_its_root_and_where_it_is(tmp_path: Path) -> None:
    make(tmp_path)
    (root,) = made(tmp_path).roots
    assert (root.identity, [str(e) for e in root.endpoints]) == (
        SECRET.public,
        ["10.0.0.1/9993", "fd00::1/9993"],
    )


def test_a_root_may_be_named_by_its_file(tmp_path: Path, secret: Path) -> None:
    make(tmp_path, root=f"{secret}@10.0.0.1/9993")
    assert made(tmp_path).roots[0].identity == SECRET.public


def test_a_world_never_has_the_private_keys_of_its_root(tmp_path: Path) -> None:
    make(tmp_path, root=f"{TEXT}@10.0.0.1/9993")
    assert SECRET.private_key not in (tmp_path / "planet").read_bytes()


def test_a_world_is_signed_by_its_key(tmp_path: Path) -> None:
    make(tmp_path)
    world = made(tmp_path)
    signer = identity(1).public.public_key
    assert verify(signer, world.signing_input(), world.signature)
    assert world.next_update_key == signer


def test_a_key_that_is_not_there_is_made_and_kept_for_the_next_revision(tmp_path: Path) -> None:
    key = tmp_path / "new.key"
    out = str(tmp_path / "planet")
    run("world", "create", "--root", f"{PUBLIC}@10.0.0.1/9993", "--out", out, "--key", str(key))
    signer = SecretIdentity.from_text(key.read_text()).public.public_key
    assert (made(tmp_path).next_update_key, stat.S_IMODE(key.stat().st_mode)) == (signer, 0o600)


def test_a_key_that_is_none_is_78_and_left_as_it_is(tmp_path: Path) -> None:
    key = tmp_path / "mine"
    key.write_text("my notes")
    where = ["--root", f"{PUBLIC}@10.0.0.1/9993", "--out", str(tmp_path / "planet")]
    result = run("world", "create", *where, "--key", str(key))
    assert (result.exit_code, key.read_text()) == (78, "my notes")


def test_a_moon_has_its_first_roots_address_as_id(tmp_path: Path) -> None:
    make(tmp_path, "--moon")
    world = made(tmp_path)
    assert (world.world_type, world.world_id) == (WorldType.MOON, SECRET.address)


def test_a_world_is_shown(tmp_path: Path) -> None:
    make(tmp_path, "--id", "abc")
    shown = run("world", "show", str(tmp_path / "planet")).output
    assert shown.startswith("planet 0000000000000abc timestamp ")
    assert shown.endswith(f"root {PUBLIC} at 10.0.0.1/9993 fd00::1/9993\n")


@pytest.mark.parametrize(
    ("root", "options"),
    [
        (PUBLIC, []),
        (TEXT, []),
        (f"{PUBLIC}@10.0.0.1", []),
        (f"{PUBLIC}@10.0.0.1/0", []),
        (f"{PUBLIC}@10.0.0.1/99999", []),
        (f"{PUBLIC}@x/9993", []),
        (f"{PUBLIC[:-1]}@10.0.0.1/9993", []),
        (f"{PUBLIC}@10.0.0.1/9993", ["--id", "xyz"]),
        (f"{PUBLIC}@10.0.0.1/9993", ["--id", f"{149604618:x}"]),
        (f"{PUBLIC}@10.0.0.1/9993", ["--root", PUBLIC]),
    ],
)
def test_a_world_of_nonsense_is_wrong_usage_and_not_written(
    tmp_path: Path, root: str, options: list[str]
) -> None:
    assert (make(tmp_path, *options, root=root), (tmp_path / "planet").exists()) == (2, False)


def test_a_root_without_a_place_does_not_show_private_keys(tmp_path: Path) -> None:
    result = run("world", "create", "--root", TEXT, "--out", str(tmp_path / "planet"))
    assert PRIVATE not in result.output


@pytest.mark.parametrize("content", [b"", b"x", b"\x01" * 300])
def test_a_file_that_is_no_world_is_78(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "planet"
    file.write_bytes(content)
    assert run("world", "show", str(file)).exit_code == 78


def test_a_root_that_is_given_twice_is_wrong_usage(tmp_path: Path) -> None:
    roots = ["--root", f"{PUBLIC}@10.0.0.1/9993", "--root", f"{PUBLIC}@10.0.0.2/9993"]
    out = tmp_path / "planet"
    result = run("world", "create", *roots, "--out", str(out))
    assert (result.exit_code, out.exists()) == (2, False)
    assert f"{PUBLIC[:10]} is given twice" in result.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot read {}: No such file or directory"), ("text", "{} is not a world file: ")],
)
def test_what_is_no_world_file_is_named(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    file = tmp_path / "planet"
    if content is not None:
        file.write_text(content)
    result = run("world", "show", str(file))
    assert (result.exit_code, complaint.format(file) in result.stderr) == (78, True)
