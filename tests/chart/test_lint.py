"""The judgement of other people's tools on chart and Dockerfile."""

import tarfile
from pathlib import Path

import pytest

from tests.chart.conftest import CHART, TOP, Toolbox

pytestmark = pytest.mark.chart


def test_the_suites_of_the_chart_pass(toolbox: Toolbox) -> None:
    output = toolbox.passes("helm-unittest", "--strict", str(CHART))
    print(output)
    assert "Tests:" in output


def test_chart_testing_finds_nothing(toolbox: Toolbox) -> None:
    output = toolbox.passes(
        "chart-testing", "lint", "--config", "ci/chart/ct.yaml", "--charts", str(CHART)
    )
    assert "All charts linted successfully" in output


def test_the_readme_is_that_of_the_values(toolbox: Toolbox) -> None:
    options = ["--chart-search-root=charts", "--sort-values-order=file", "--log-level=warning"]
    readme = toolbox.passes("helm-docs", "--dry-run", *options)
    assert readme.strip() == (CHART / "README.md").read_text().strip(), "make chart-readme"


def test_every_value_is_explained() -> None:
    lines = (CHART / "README.md").read_text().splitlines()
    rows = [line for line in lines[lines.index("## Values") :] if line.startswith("| ")]
    assert len(rows) > 50
    assert not [row for row in rows if row.endswith("|  |")]


def test_a_packaged_chart_has_what_it_needs_and_no_more(toolbox: Toolbox, tmp_path: Path) -> None:
    toolbox.passes("helm", "package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        names = {name.split("/")[1] for name in archive.getnames()}
    assert names == {
        "Chart.yaml",
        "README.md",
        "templates",
        "values.schema.json",
        "values.yaml",
    }


def test_hadolint_finds_nothing(toolbox: Toolbox) -> None:
    dockerfile = TOP / "docker" / "Dockerfile"
    if not dockerfile.exists():
        pytest.skip("docker/Dockerfile is not there")
    assert toolbox.passes("hadolint", str(dockerfile)) == ""
