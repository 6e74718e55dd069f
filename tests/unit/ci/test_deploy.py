"""What the cluster is told, and what is said where it cannot be."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from ci import deploy
from ci.deploy import (
    DeployError,
    Wish,
    agent_addresses,
    authorize,
    controller_addresses,
    find_helm,
    helm_arguments,
    install,
    main,
    read_wish,
    run_command,
    split_image,
)


class Cluster:
    """Answers commands by the words that are in them; keeps them all."""

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        self.answers = answers or {}
        self.commands: list[str] = []

    def __call__(self, command: list[str]) -> str:
        line = " ".join(command)
        self.commands.append(line)
        return next((self.answers[key] for key in self.answers if key in line), "")


def values(arguments: list[str]) -> list[str]:
    pairs = pairwise(arguments)
    return [value for option, value in pairs if option in ("--set", "--set-string")]


def test_a_wish_comes_by_environment() -> None:
    environment = {"ZEROTIER_NETWORK_ID": "8056c2e21c000001", "RELEASE": "", "NAMESPACE": "zt"}
    assert read_wish(environment) == Wish(network_id="8056c2e21c000001", namespace="zt")


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("zerotier-k8s-link", "zerotier-k8s-link"),
        ("my-zerotier-k8s-link", "my-zerotier-k8s-link"),
        ("mesh", "mesh-zerotier-k8s-link"),
        ("a-release-with-a-name-of-23", "a-release-with-a-name-of-23-zerotier-k8s"),
    ],
)
def test_objects_are_called_as_the_chart_calls_them(release: str, name: str) -> None:
    assert Wish(release=release).fullname == name


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("localhost/a:dev", ("localhost", "a", "dev", "")),
        ("registry.example.org:5000/a/b:1.0", ("registry.example.org:5000", "a/b", "1.0", "")),
        ("a/b", ("", "a/b", "", "")),
        ("a:1", ("", "a", "1", "")),
        ("r.example.org/a@sha256:00", ("r.example.org", "a", "", "sha256:00")),
    ],
)
def test_an_image_is_taken_apart(image: str, parts: tuple[str, str, str, str]) -> None:
    keys = ("registry", "repository", "tag", "digest")
    assert split_image(image) == [
        f"image.{key}={part}" for key, part in zip(keys, parts, strict=True)
    ]


def test_helm_is_given_the_network_as_text() -> None:
    arguments = helm_arguments(Wish(network_id="1129724850000001"), [])
    assert arguments[-2:] == ["--set-string", "networks[0].id=1129724850000001"]


def test_helm_does_not_wait_for_nodes_that_nobody_let_in() -> None:
    assert "--wait" not in helm_arguments(Wish(network_id="1129724850000001"), ["10.0.0.5"])


def test_helm_is_given_all_addresses_of_the_controller() -> None:
    assert values(helm_arguments(Wish(), ["10.0.0.5", "fd00::5"])) == [
        "controller.enabled=true",
        "controller.port=9995",
        "controller.endpoints={10.0.0.5/9995,fd00::5/9995}",
    ]


def test_helm_is_given_the_users_values_first() -> None:
    arguments = helm_arguments(Wish(values="mine.yaml", image="localhost/a:dev"), [])
    assert arguments.index("--values") < arguments.index("--set-string")


def test_the_controllers_node_is_labelled() -> None:
    cluster = Cluster({"jsonpath": "10.0.0.5 fd00::5", "-l zerotier": "node/a\n"})
    assert controller_addresses(cluster, "a") == ["10.0.0.5", "fd00::5"]
    assert (
        cluster.commands[-1] == "kubectl label --overwrite node a zerotier-k8s-link/controller=true"
    )


def test_a_second_node_with_the_label_is_refused_before_anything_changes() -> None:
    cluster = Cluster({"jsonpath": "10.0.0.5", "-l zerotier": "node/a\nnode/b\n"})
    with pytest.raises(DeployError, match="is on node/b, too"):
        controller_addresses(cluster, "a")
    assert not [command for command in cluster.commands if "label --overwrite" in command]


def test_a_node_without_an_address_is_named() -> None:
    with pytest.raises(DeployError, match="node a has no InternalIP"):
        controller_addresses(Cluster(), "a")


def test_an_install_makes_the_namespace_and_says_what_is_next() -> None:
    cluster = Cluster({"upgrade": "installed\n"})
    said = install(cluster, Wish(network_id="8056c2e21c000001", namespace="zt"), "/bin/helm")
    assert cluster.commands[1:3] == [
        "kubectl create namespace zt",
        "kubectl label --overwrite namespace zt pod-security.kubernetes.io/enforce=privileged",
    ]
    assert cluster.commands[3].startswith("/bin/helm upgrade --install zerotier-k8s-link ")
    assert said.startswith("installed\n")
    assert "make authorize-nodes" in said


def test_a_namespace_that_is_there_is_not_made_again() -> None:
    cluster = Cluster({"get namespace": "namespace/zt\n"})
    install(cluster, Wish(network_id="8056c2e21c000001", namespace="zt"), "helm")
    assert not [command for command in cluster.commands if "create" in command]


def test_without_a_network_the_nodes_are_shown_to_choose_from() -> None:
    cluster = Cluster({"get nodes": "node/a\nnode/b\n"})
    with pytest.raises(DeployError, match=r"(?s)ZEROTIER_NETWORK_ID.*CONTROLLER_NODE.*  a\n  b\n"):
        install(cluster, Wish(), "helm")
    assert len(cluster.commands) == 1


AGENTS = {
    "get pods": "pod/x\npod/y\n",
    "exec pod/x": json.dumps({"address": "0123456789"}),
    "exec pod/y": json.dumps({"address": "abcdef0123"}),
}


def test_agents_are_asked_for_their_addresses() -> None:
    cluster = Cluster(AGENTS)
    addresses, complaints = agent_addresses(cluster, Wish(release="mesh"))
    assert (addresses, complaints) == (["0123456789", "abcdef0123"], [])
    assert (
        "app.kubernetes.io/instance=mesh,app.kubernetes.io/component=agent" in cluster.commands[0]
    )


def test_a_release_without_agents_is_named() -> None:
    with pytest.raises(DeployError, match="no agent of release mesh runs in namespace zt"):
        agent_addresses(Cluster(), Wish(release="mesh", namespace="zt"))


def test_the_agents_and_nobody_else_are_let_in() -> None:
    cluster = Cluster({**AGENTS, "get configmap": "0123456789000001\n", "authorize": "done\n"})
    assert authorize(cluster, Wish(release="mesh")) == "done\n"
    assert cluster.commands[-1].endswith(
        "exec mesh-zerotier-k8s-link-controller-0 -- ztlink authorize 0123456789000001"
        " 0123456789 abcdef0123"
    )


def test_without_a_controller_of_its_own_the_members_are_listed() -> None:
    said = authorize(Cluster(AGENTS), Wish(network_id="8056c2e21c000001"))
    assert "at the controller of 8056c2e21c000001:\n  0123456789\n  abcdef0123\n" in said
    assert "set ZEROTIER_NETWORK_ID and ZEROTIER_API_TOKEN" in said


def test_an_agent_that_does_not_answer_keeps_nobody_else_out() -> None:
    answers = Cluster({**AGENTS, "get configmap": "0123456789000001\n", "authorize": "done\n"})

    def run(command: list[str]) -> str:
        if "pod/y" in command:
            raise DeployError("container not found")
        return answers(command)

    with pytest.raises(DeployError, match=r"done\npod/y does not say its address: container not"):
        authorize(run, Wish())
    assert answers.commands[-1].endswith("authorize 0123456789000001 0123456789")


@pytest.mark.parametrize(
    ("environment", "api"),
    [
        ({}, ""),
        ({"ZEROTIER_API_TOKEN": "x"}, "central"),
        ({"ZEROTIER_API_TOKEN_FILE": "x"}, "central"),
        ({"ZEROTIER_API_TOKEN": "x", "ZEROTIER_API_URL": "http://[::1]:9993"}, "http://[::1]:9993"),
    ],
)
def test_with_a_token_the_controller_elsewhere_is_asked(
    environment: dict[str, str], api: str
) -> None:
    assert read_wish(environment).api == api


def test_a_controller_elsewhere_is_asked_by_ztlink() -> None:
    cluster = Cluster({"authorize": "done\n"})
    wish = Wish(network_id="8056c2e21c000001", namespace="zt", api="central", is_dry=True)
    assert authorize(cluster, wish) == "done\n"
    assert cluster.commands[-1].endswith(
        " -m ztlink authorize 8056c2e21c000001 --agents --namespace zt --release zerotier-k8s-link"
        " --api central --dry-run"
    )


def test_a_dry_run_is_one_at_the_own_controller_too() -> None:
    cluster = Cluster({**AGENTS, "get configmap": "0123456789000001\n"})
    authorize(cluster, Wish(is_dry=True))
    assert "ztlink authorize --dry-run 0123456789000001" in cluster.commands[-1]


def test_ztlink_alone_sees_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROTIER_API_TOKEN", "abc")
    assert "ZEROTIER_API_TOKEN" not in run_command(["env"])
    monkeypatch.setattr(deploy, "ZTLINK", ("env",))
    assert "ZEROTIER_API_TOKEN=abc" in run_command(["env"])


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(DeployError, match="no-such-program is not in PATH"):
        run_command(["no-such-program"])


def test_a_command_that_fails_says_why_in_its_own_words() -> None:
    with pytest.raises(DeployError, match="it broke"):
        run_command(["sh", "-c", "echo it broke >&2; exit 3"])


def test_the_users_helm_goes_before_the_one_that_was_built(tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    helm.touch(mode=0o755)
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert find_helm(environment) == str(helm)


def test_without_helm_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(DeployError, match="install Helm 3, or `make tools` builds it"):
        find_helm(environment)


@pytest.mark.parametrize("arguments", [[], ["remove"], ["install", "now"]])
def test_other_words_are_answered_by_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "install|authorize" in capsys.readouterr().err


def test_an_error_is_said_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(command: list[str]) -> str:
        raise DeployError(f"{command[0]} is not in PATH")

    monkeypatch.setattr(deploy, "run_command", refuse)
    assert main(["authorize"]) == 1
    assert capsys.readouterr().err == "deploy: kubectl is not in PATH\n"
