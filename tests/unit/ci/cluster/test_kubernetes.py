"""How Kubernetes is built outside of its own tree (ci/cluster/kubernetes)."""

from pathlib import Path

import pytest

from ci.cluster.kubernetes import (
    SOURCES,
    Programs,
    default_directory,
    linker_flags,
    seed_module,
    sources_digest,
)

UPSTREAM = """\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26
godebug (
\tdefault=go1.26
\twinsymlink=0
)

require (
\tgithub.com/spf13/cobra v1.10.2
\tk8s.io/api v0.0.0
\tk8s.io/utils v0.0.0-20260101000000-0123456789ab
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
)
"""
SEEDED = """\
module kube

go 1.26.0


require (
\tgithub.com/spf13/cobra v1.10.2
\tk8s.io/api v0.36.3
\tk8s.io/utils v0.0.0-20260101000000-0123456789ab
)

replace (
\tk8s.io/api => k8s.io/api v0.36.3
)

require k8s.io/kubernetes v1.36.3
"""


def test_staging_modules_are_those_published_with_the_release() -> None:
    assert seed_module(UPSTREAM, "v1.36.3") == SEEDED


def test_components_are_told_their_version() -> None:
    flags = linker_flags("v1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags


@pytest.mark.parametrize(
    ("environment", "top"),
    [
        ({"XDG_CACHE_HOME": "/cache"}, "/cache"),
        ({"XDG_CACHE_HOME": ""}, str(Path.home() / ".cache")),
    ],
)
def test_programs_are_kept_by_version_outside_of_the_checkout(
    environment: dict[str, str], top: str
) -> None:
    directory = default_directory(environment)
    assert str(directory).startswith(f"{top}/zerotier-k8s-link/kube/v1.")


def test_another_version_or_source_is_another_build(tmp_path: Path) -> None:
    for name in ("kube", "pause"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.go").write_text("package main\n")
    digests = {
        sources_digest(SOURCES, "v1.36.3"),
        sources_digest(SOURCES, "v1.36.4"),
        sources_digest(tmp_path, "v1.36.3"),
    }
    assert len(digests) == 3


def test_programs_are_found_by_name() -> None:
    programs = Programs(Path("/cache/kube"))
    assert programs["kubelet"] == "/cache/kube/kubelet"
    assert programs.pause_archive == Path("/cache/kube/pause.tar")
