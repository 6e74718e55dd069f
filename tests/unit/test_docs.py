import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ztlink.config.file import read_settings

TOP: Final = Path(__file__).parents[2]
DOCS: Final = TOP / "agent" / "docs"
WIRE: Final = (DOCS / "wire.adoc").read_text()
ANCHORS: Final = frozenset(re.findall(r"^\[(?:#|\[)([a-z0-9-]+)\]", WIRE, re.MULTILINE))
CITATION: Final = re.compile(r"wire\.adoc#([a-z0-9-]+)")
CROSS_REFERENCE: Final = re.compile(r"<<([a-z0-9-]+)")


def citations() -> Iterator[tuple[str, str]]:
    files = [*(TOP / "agent" / "src").rglob("*.py"), *(TOP / "tests").rglob("*.py")]
    for file in sorted(files):
        for anchor in CITATION.findall(file.read_text()):
            yield str(file.relative_to(TOP)), anchor


def test_the_wire_document_has_anchors() -> None:
    assert {"address", "packet", "hello", "rules"} <= ANCHORS


@pytest.mark.parametrize(("file", "anchor"), sorted(set(citations())))
def test_what_the_code_cites_is_in_the_wire_document(file: str, anchor: str) -> None:
    assert anchor in ANCHORS


@pytest.mark.parametrize("anchor", sorted(set(CROSS_REFERENCE.findall(WIRE))))
def test_the_wire_document_refers_to_places_that_it_has(anchor: str) -> None:
    assert anchor in ANCHORS


@pytest.mark.parametrize("page", ["agent", "firewall", "operation", "routes"])
def test_the_file_that_a_page_shows_is_one(page: str, tmp_path: Path) -> None:
    block = re.search(r"^\[source,yaml\]\n----\n(.*?)^----$", read(page), re.MULTILINE | re.DOTALL)
    assert block is not None
    id_file = tmp_path / "networkId"
    id_file.write_text("112972485d000001")
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"(idFile: )/\S+", rf"\g<1>{id_file}", block[1]))
    assert read_settings(file).home is not None


def read(page: str) -> str:
    return (DOCS / f"{page}.adoc").read_text()


def test_no_anchor_is_defined_twice() -> None:
    anchors = re.findall(r"^\[(?:#|\[)([a-z0-9-]+)\]", WIRE, re.MULTILINE)
    assert len(anchors) == len(set(anchors))


@pytest.mark.parametrize(
    "decision", sorted((DOCS / "decisions").glob("*.adoc")), ids=lambda p: p.stem
)
def test_a_decision_says_why_and_what_follows(decision: Path) -> None:
    headings = re.findall(r"^== (.+)$", decision.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
