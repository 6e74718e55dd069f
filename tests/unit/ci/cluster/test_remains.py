"""What is noted of a bench, and found again (ci/cluster/remains)."""

from pathlib import Path

import pytest

from ci.cluster.errors import ClusterError
from ci.cluster.remains import Note, load, mounts_below, remove_tree

NOTE = Note("bench", ["bench-control"])


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    NOTE.save(tmp_path)
    assert load(tmp_path) == NOTE


@pytest.mark.parametrize("text", ["", "[]", '{"other": 1}'])
def test_another_directory_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bench.json").write_text(text)
    with pytest.raises(ClusterError, match="is not the directory of a bench"):
        load(tmp_path)


def test_a_directory_without_a_note_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="is not the directory of a bench"):
        load(tmp_path)


def test_mounts_are_found_below_the_directory(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text("proc /proc proc rw 0 0\ntmpfs /bench/node tmpfs rw 0 0\nx /bench2 x rw 0 0\n")
    assert mounts_below(Path("/bench"), table) == ["/bench/node"]


def test_a_directory_goes_with_all_that_is_in_it_and_nothing_that_links_lead_to(
    tmp_path: Path,
) -> None:
    bench, other = tmp_path / "bench", tmp_path / "other"
    for folder in (bench / "node" / "deep", other):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (bench / "node" / "link").symlink_to(other, target_is_directory=True)
    (bench / "node" / "broken").symlink_to("nowhere")
    remove_tree(bench)
    assert [path.name for path in tmp_path.rglob("*")] == ["other", "file"]
