"""What the agent takes in its file, the chart takes in its values, where it passes that on."""

import json
from typing import Final

import pytest

from tests.chart.conftest import CHART
from tests.chart.schemas import Json, Taken, taken
from ztlink.config.show import schema

pytestmark = pytest.mark.chart

PASSED_ON: Final = {
    "port": "agent.port",
    "onStop": "agent.onStop",
    "http": "agent.http",
    "metrics": "agent.metrics",
    "dns": "agent.dns",
    "firewall": "agent.firewall",
    "routing": "agent.routing",
    "cluster": "agent.cluster",
    "routes": "agent.routes",
    "networks": "networks",
    "log.level": "logLevel",
    "log.format": "logFormat",
}
"""Keys of the agent's file, and of the values that they come from."""
MADE: Final = frozenset({"home", "planet", "nodeName"})
"""What the chart knows itself: paths of mounts, and the node's name by its environment."""
LEFT_OUT: Final = frozenset({"identity", "engine", "controller", "logLevel"})
"""What is not for agents of a cluster, or an older name."""
NOT_IN_PODS: Final = {
    "cluster": {"cniDirectory"},  # may hold credentials of others
    "networks": {"[].idFile"},  # `networkSecret` names a Secret instead
}


@pytest.fixture(scope="module")
def values() -> Json:
    found: Json = json.loads((CHART / "values.schema.json").read_text())
    return found


def of_agent(section: str) -> dict[str, Taken]:
    known = schema()
    return taken(known, section, known)


def test_every_key_of_the_agents_file_has_its_place() -> None:
    known = {path.partition(".")[0] for path in PASSED_ON}
    assert known | MADE | LEFT_OUT == set(schema()["properties"])


@pytest.mark.parametrize("section", PASSED_ON)
def test_values_take_what_the_agent_takes_and_nothing_else(section: str, values: Json) -> None:
    agents = {
        path: one
        for path, one in of_agent(section).items()
        if path not in NOT_IN_PODS.get(section, set())
    }
    charts = taken(values, PASSED_ON[section], values)
    if section == "networks":  # here, the id is the one way to name a network
        agents["[].id"] = charts["[].id"]
    assert charts == agents


@pytest.mark.parametrize("path", ["networkSecret.join", "controller.join"])
def test_networks_named_elsewhere_are_joined_with_the_same_options(path: str, values: Json) -> None:
    options = taken(values, "networks", values)
    of_networks = {key.removeprefix("[]."): one for key, one in options.items() if "." in key}
    joined = {key: one for key, one in taken(values, path, values).items() if key}
    assert joined == {key: one for key, one in of_networks.items() if key != "id"}


def test_no_section_takes_a_key_that_it_does_not_know(values: Json) -> None:
    assert sorted(_open(values, "")) == ["agent.affinity", "controller.affinity", "global"]


def _open(node: object, path: str) -> list[str]:
    """Return the paths of objects that take any key, maps of texts and rules of controllers not."""
    if not isinstance(node, dict):
        return []
    found = []
    for key, one in node.get("properties", {}).items():
        inner = f"{path}.{key}".lstrip(".")
        is_object = isinstance(one, dict) and one.get("type") == "object"
        if is_object and "additionalProperties" not in one:
            found.append(inner)
        found += _open(one, inner)
    return found
