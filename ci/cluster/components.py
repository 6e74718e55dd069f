"""What runs in a cluster, and how each part is told: command lines and configuration files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ci.cluster.keys import AUTHORITY, Keys
from ci.cluster.kubernetes import PAUSE_IMAGE, Programs
from ci.cluster.network import API, PODS, SERVICES, Place

ETCD: Final = "http://127.0.0.1:2379"
ETCD_PEER: Final = "http://127.0.0.1:2380"
ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
CNI_PROGRAMS: Final = "/usr/lib/cni"
CNI_DIRECTORY: Final = "/etc/cni/net.d"
CONFIG_DIRECTORY: Final = "/etc/kubernetes"
# What a node has for itself: its own directory is mounted over each of these.
NODE_DIRECTORIES: Final = (
    CONFIG_DIRECTORY,
    CNI_DIRECTORY,
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
# Seconds after which a silent node counts as gone; the default of 50 would only be waited for.
NODE_GRACE: Final = 16


@dataclass(frozen=True, slots=True)
class Component:
    """A program for `init.py` to start; the next one waits for `ready` to succeed."""

    name: str
    command: list[str]
    ready: list[str]

    def plan(self, logs: Path) -> dict[str, Any]:
        log = str(logs / f"{self.name}.log")
        return {"name": self.name, "command": self.command, "log": log, "ready": self.ready}


def control_components(programs: Programs, keys: Keys, directory: Path) -> list[Component]:
    """Return the control plane, in the order of its start."""
    kubectl = [programs["kubectl"], "--kubeconfig", str(keys.kubeconfig("admin"))]
    # Controllers that start before the API server has made its own roles end at once.
    ready = [*kubectl, "get", "--raw", "/readyz"]
    return [
        Component("etcd", _etcd(programs, directory), []),
        Component("kube-apiserver", _apiserver(programs, keys, directory), ready),
        Component("kube-controller-manager", _controller_manager(programs, keys, directory), []),
        Component("kube-scheduler", _scheduler(programs, keys, directory), []),
    ]


def _etcd(programs: Programs, directory: Path) -> list[str]:
    return [
        programs["etcd"],
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={ETCD_PEER}",
        f"--initial-advertise-peer-urls={ETCD_PEER}",
        f"--initial-cluster=default={ETCD_PEER}",
        "--unsafe-no-fsync",  # what it holds ends with the bench
        "--log-level=warn",
    ]


def _apiserver(programs: Programs, keys: Keys, directory: Path) -> list[str]:
    return [
        programs["kube-apiserver"],
        f"--etcd-servers={ETCD}",
        f"--advertise-address={API}",
        "--secure-port=443",
        f"--tls-cert-file={keys.certificate('apiserver')}",
        f"--tls-private-key-file={keys.key('apiserver')}",
        f"--client-ca-file={keys.certificate(AUTHORITY)}",
        f"--kubelet-client-certificate={keys.certificate('apiserver-kubelet-client')}",
        f"--kubelet-client-key={keys.key('apiserver-kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={keys.directory / 'accounts.pub'}",
        f"--service-account-signing-key-file={keys.key('accounts')}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        f"--cert-dir={directory}",
    ]


def _controller_manager(programs: Programs, keys: Keys, directory: Path) -> list[str]:
    return [
        *_controller(programs, keys, directory, "kube-controller-manager"),
        f"--service-account-private-key-file={keys.key('accounts')}",
        f"--root-ca-file={keys.certificate(AUTHORITY)}",
        "--use-service-account-credentials=true",
        f"--node-monitor-grace-period={NODE_GRACE}s",
        f"--flex-volume-plugin-dir={directory / 'volume-plugins'}",
    ]


def _scheduler(programs: Programs, keys: Keys, directory: Path) -> list[str]:
    return _controller(programs, keys, directory, "kube-scheduler")


def _controller(programs: Programs, keys: Keys, directory: Path, name: str) -> list[str]:
    config = keys.kubeconfig(name)
    return [
        programs[name],
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={directory}",
    ]


def node_components(programs: Programs, keys: Keys, place: Place) -> list[Component]:
    """Return what runs on a node, in the order of its start; as seen from inside of it."""
    config = Path(CONFIG_DIRECTORY)
    kubelet = [
        programs["kubelet"],
        f"--config={config / 'kubelet.json'}",
        f"--kubeconfig={keys.kubeconfig(place.name)}",
        f"--hostname-override={place.name}",
        f"--node-ip={place.address}",
    ]
    containerd = ["containerd", f"--config={config / 'containerd.toml'}"]
    proxy = [programs["kube-proxy"], f"--config={config / 'proxy.json'}"]
    return [
        Component("containerd", containerd, ["test", "-S", CONTAINERD_SOCKET]),
        Component("kubelet", kubelet, []),
        Component("kube-proxy", proxy, []),
    ]


def cni_config(place: Place) -> dict[str, Any]:
    """Return the network of pods: a cable to the node, and a route. No node is Ready without."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_config(keys: Keys, *, unified: bool, max_open_files: int) -> dict[str, Any]:
    """Return the configuration of a kubelet that may not have all rights of the machine's root."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys.certificate(AUTHORITY))},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": unified,
        "failSwapOn": False,
        # To go below, or above the hard limit, takes CAP_SYS_RESOURCE, which containers lack.
        "oomScoreAdj": 0,
        "maxOpenFiles": max_open_files,
        "makeIPTablesUtilChains": False,
        "resolvConf": f"{CONFIG_DIRECTORY}/resolv.conf",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # A node shares its disk with the machine: what that lacks is not for the bench to judge.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "rotateCertificates": False,
    }


def proxy_config(keys: Keys, place: Place) -> dict[str, Any]:
    """Return the configuration of kube-proxy; it leaves the machine's connection table alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": place.name,
        "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": str(keys.kubeconfig("kube-proxy"))},
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def containerd_config(version: int, snapshotter: str) -> str:
    """Return the configuration of containerd; `version` is the first figure of its release."""
    if version == 1:
        images = runtime = "io.containerd.grpc.v1.cri"
        pinned, sandbox = "", "sandbox_image"
        directories = f'bin_dir = "{CNI_PROGRAMS}"'
        snapshots = f'[plugins."{runtime}".containerd]\nsnapshotter = "{snapshotter}"'
    else:
        images, runtime = "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
        pinned, sandbox = ".pinned_images", "sandbox"
        directories = f'bin_dirs = ["{CNI_PROGRAMS}"]'
        snapshots = f'[plugins."{images}"]\nsnapshotter = "{snapshotter}"'
    # `restrict_oom_score_adj`: without CAP_SYS_RESOURCE no sandbox would start. `opt`: a directory
    # that containerd makes, by default outside of what a node has for itself.
    tables = [
        f"version = {1 + version}",
        'root = "/var/lib/containerd"',
        'state = "/run/containerd"',
        f'[grpc]\naddress = "{CONTAINERD_SOCKET}"',
        '[plugins."io.containerd.internal.v1.opt"]\npath = "/var/lib/containerd/opt"',
        snapshots,
        f'[plugins."{images}"{pinned}]\n{sandbox} = "{PAUSE_IMAGE}"',
        f'[plugins."{runtime}"]\nrestrict_oom_score_adj = true',
        f'[plugins."{runtime}".cni]\n{directories}\nconf_dir = "{CNI_DIRECTORY}"',
        f'[plugins."{runtime}".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"',
    ]
    if version == 1:  # one table, which may stand in a file once
        tables[6:8] = [tables[6] + "\nrestrict_oom_score_adj = true"]
    return "\n".join(tables) + "\n"
