"""What must hold in every case of the chart, whatever the values are."""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci.toolchain import KUBERNETES
from tests.chart.conftest import CASES, CHART, TOP, Json, Render, Toolbox

pytestmark = pytest.mark.chart

Manifests = Callable[..., str]
EMBEDDED = "embedded-values.yaml"
NETWORK = "network-values.yaml"


def pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield component and specification of each pod."""
    for item in objects:
        component = item["metadata"].get("labels", {}).get("app.kubernetes.io/component", "")
        if item["kind"] == "Pod":
            yield component, item["spec"]
        elif "template" in item.get("spec", {}):
            yield component, item["spec"]["template"]["spec"]


def find(objects: list[Json], kind: str) -> Json:
    return next(item for item in objects if item["kind"] == kind)


def checksum(objects: list[Json], kind: str = "DaemonSet") -> str:
    annotations = find(objects, kind)["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["checksum/config"])


def conform(toolbox: Toolbox, version: str, text: str) -> tuple[int, str]:
    folder = toolbox.cache.schemas()
    place = "{{.NormalizedKubernetesVersion}}{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}"
    options = ["-strict", "-summary", "-kubernetes-version", version]
    schemas = ["-schema-location", f"{folder}/{place}.json"]
    done = toolbox.run("kubeconform", *options, *schemas, "-", text=text)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_objects_are_what_the_api_takes(
    case: str, version: str, toolbox: Toolbox, manifests: Manifests
) -> None:
    status, output = conform(toolbox, version, manifests(case))
    assert status == 0, output
    assert "Invalid: 0, Errors: 0, Skipped: 0" in output


@pytest.mark.parametrize("version", KUBERNETES)
def test_a_misspelt_field_is_caught(version: str, toolbox: Toolbox, manifests: Manifests) -> None:
    text = manifests(NETWORK).replace("hostNetwork:", "hostNetworks:")
    status, output = conform(toolbox, version, text)
    assert status == 1
    assert "hostNetworks" in output


@pytest.mark.parametrize("case", CASES)
def test_a_file_has_one_object(case: str, manifests: Manifests) -> None:
    sources = Counter(
        line for line in manifests(case).splitlines() if line.startswith("# Source: ")
    )
    several = {source for source, count in sources.items() if count > 1}
    assert several <= {"# Source: zerotier-k8s-link/templates/extra-manifests.yaml"}


@pytest.mark.parametrize("case", CASES)
def test_agents_mount_no_secret_but_a_networks_id(case: str, render: Render) -> None:
    spec = dict(pods(render(case)))["agent"]
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert all([item["path"] for item in each["items"]] == ["networkId"] for each in secrets)
    assert not [volume for volume in spec["volumes"] if "projected" in volume]
    assert not spec["automountServiceAccountToken"]
    (container,) = spec["containers"]
    assert "envFrom" not in container
    assert all("secretKeyRef" not in str(entry) for entry in container["env"])


@pytest.mark.parametrize("case", CASES)
def test_the_jobs_of_hooks_alone_speak_to_the_clusters_api(case: str, render: Render) -> None:
    tokens = {name for name, spec in pods(render(case)) if spec["automountServiceAccountToken"]}
    assert tokens <= {"bootstrap", "uninstall"}


@pytest.mark.parametrize("case", CASES)
def test_no_right_in_the_cluster_stands(case: str, render: Render) -> None:
    kinds = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    standing = [
        one["metadata"]["name"]
        for one in render(case)
        if one["kind"] in kinds and "helm.sh/hook" not in one["metadata"].get("annotations", {})
    ]
    assert standing == []


@pytest.mark.parametrize("case", CASES)
def test_containers_have_no_right_beyond_their_work(case: str, render: Render) -> None:
    for name, spec in pods(render(case)):
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            context: dict[str, Any] = dict(container["securityContext"])
            assert "privileged" not in context
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"]["drop"] == ["ALL"]
            added = set(context["capabilities"].get("add", []))
            assert added <= ({"NET_ADMIN", "NET_RAW"} if name == "agent" else set())


@pytest.mark.parametrize("case", CASES)
def test_folders_are_mounted_never_single_files(case: str, render: Render) -> None:
    mounts = [
        mount
        for _, spec in pods(render(case))
        for container in spec["containers"]
        for mount in container.get("volumeMounts", [])
    ]
    assert mounts
    assert not [mount for mount in mounts if "subPath" in mount or "subPathExpr" in mount]


@pytest.mark.parametrize("case", CASES)
def test_writable_places_are_the_state_and_tmp(case: str, render: Render) -> None:
    for _, spec in pods(render(case)):
        for container in spec["containers"]:
            mounts = container.get("volumeMounts", [])
            writable = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
            assert writable <= {"/var/lib/zerotier-k8s-link", "/tmp", "/dev/net/tun"}  # noqa: S108


@pytest.mark.parametrize(
    "change",
    [
        ["--set", "agent.port=9999"],
        ["--set", "world.planet=AQAAAAA="],
        ["--set", "world.existingConfigMap=mine"],
    ],
)
def test_agents_start_anew_when_what_they_read_once_changes(
    change: list[str], render: Render
) -> None:
    assert checksum(render(NETWORK, *change)) != checksum(render(NETWORK))


@pytest.mark.parametrize(
    "change",
    [
        ["--set", "logLevel=DEBUG"],
        ["--set", "agent.onStop=remove"],
        ["--set-string", "networks[0].id=8056c2e21c000002"],
        ["--set", "networks[0].required=false"],
        ["--set", "agent.http.expose=all"],
    ],
)
def test_agents_follow_what_else_changes_and_are_not_replaced(
    change: list[str], render: Render
) -> None:
    before, after = (find(render(NETWORK, *more), "DaemonSet") for more in ([], change))
    assert before["spec"]["template"] == after["spec"]["template"]


def test_agents_do_not_start_anew_for_a_label_of_an_object(render: Render) -> None:
    change = ["--set", "serviceAccount.annotations.a=b"]
    assert checksum(render(NETWORK, *change)) == checksum(render(NETWORK))


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_a_new_address_of_the_root_starts_everybody_anew(kind: str, render: Render) -> None:
    moved = render(EMBEDDED, "--set", "controller.endpoints={10.0.0.6/9995}")
    assert checksum(moved, kind) != checksum(render(EMBEDDED), kind)


def test_the_network_of_the_controller_does_not_start_agents_anew(render: Render) -> None:
    change = ["--set", "controller.network.name=other"]
    assert checksum(render(EMBEDDED, *change)) == checksum(render(EMBEDDED))
    assert checksum(render(EMBEDDED, *change), "StatefulSet") != checksum(
        render(EMBEDDED), "StatefulSet"
    )


def test_older_clusters_are_refused(toolbox: Toolbox) -> None:
    values = str(CHART / "ci" / NETWORK)
    done = toolbox.run(
        "helm", "template", "mesh", str(CHART), "--kube-version", "1.28.0", "--values", values
    )
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.29.0-0" in done.stderr


def test_the_chart_is_for_the_version_of_the_package(toolbox: Toolbox) -> None:
    package = tomllib.loads((TOP / "agent" / "pyproject.toml").read_text())
    shown = toolbox.passes("helm", "show", "chart", str(CHART)).splitlines()
    assert f"appVersion: {package['project']['version']}" in shown
