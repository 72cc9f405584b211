"""The flags and files that the components run with on a real node, where they differ from the sandbox's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.e2e.node.network import NODE_ADDRESS, PODS, SERVICES
from tests.e2e.node.programs import Programs
from tests.e2e.node.requirements import program
from tests.sandbox import components
from tests.sandbox.components import Ports

Json = dict[str, Any]
NODE: Final = "real-node-1"
PROXY_USER: Final = "system:kube-proxy"
DNS_USER: Final = "system:coredns"
API_SERVER_USER: Final = "kube-apiserver-node-client"
"""As whom the API server asks the kubelet for logs and exec: the name in its certificate."""
DOMAIN: Final = "cluster.local"
# Without a volume controller of a cloud: volumes are made by hand, as hostPath.
STORAGE_CLASS: Final[Json] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "by-hand"},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def commands(programs: Programs, state: Path, ports: Ports, containerd: Path) -> dict[str, list[str]]:
    """Each component's command by name: the control plane's, and those of the node.

    `containerd` is the file of its configuration.
    """
    server = {
        "--bind-address": NODE_ADDRESS,
        "--advertise-address": NODE_ADDRESS,
        "--service-cluster-ip-range": SERVICES,
        "--allow-privileged": "true",
        "--endpoint-reconciler-type": None,
        "--disable-admission-plugins": None,
    }
    manager = {"--controllers": "*,-bootstrap-signer-controller,-token-cleaner-controller"}
    found = components.commands(programs.controlplane, state, ports)
    found["kube-apiserver"] = with_flags(found["kube-apiserver"], server)
    found["kube-controller-manager"] = with_flags(found["kube-controller-manager"], manager)
    return found | {
        "containerd": [str(program("containerd")), f"--config={containerd}"],
        "kubelet": [
            str(programs.node),
            "kubelet",
            f"--config={state / 'kubelet.json'}",
            f"--kubeconfig={state / 'kubelet.kubeconfig'}",
            f"--root-dir={state / 'kubelet'}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        "kube-proxy": [str(programs.node), "kube-proxy", f"--config={state / 'kube-proxy.json'}"],
        "coredns": [str(programs.coredns), f"-conf={state / 'Corefile'}"],
    }


def with_flags(command: Sequence[str], flags: Mapping[str, str | None]) -> list[str]:
    """The command with these flags, whatever they were before; None leaves one out."""
    kept = [word for word in command if word.partition("=")[0] not in flags]
    return kept + [f"{name}={value}" for name, value in flags.items() if value is not None]


def write_files(state: Path, socket: Path) -> None:
    """Writes the configuration of kubelet, kube-proxy and CoreDNS into the state folder."""
    files = {
        "kubelet.json": json.dumps(kubelet_configuration(state, socket)),
        "kube-proxy.json": json.dumps(proxy_configuration(state)),
        "Corefile": corefile(state),
    }
    for name, text in files.items():
        (state / name).write_text(text, encoding="utf-8")


def kubelet_configuration(state: Path, socket: Path) -> Json:
    """All that the kubelet keeps lies in the state folder; it serves logs and exec on the node's address."""
    certificates = state / "certificates"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates / "node.crt"),
        "tlsPrivateKeyFile": str(certificates / "node.key"),
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",  # names outside of the cluster do not resolve
        "podLogsDir": str(state / "pod-logs"),
        "volumePluginDir": str(state / "volume-plugins"),
        "makeIPTablesUtilChains": False,
        "maxPods": 60,
        # Images come from tars: what the kubelet removes would never come back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def proxy_configuration(state: Path) -> Json:
    """Service addresses by nftables; the kernel's connection tracking stays as it is."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": f"{NODE_ADDRESS}:10256",
        "metricsBindAddress": f"{NODE_ADDRESS}:10249",
        "nodePortAddresses": [f"{NODE_ADDRESS}/32"],
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "clientConnection": {"kubeconfig": str(state / "kube-proxy.kubeconfig")},
    }


def corefile(state: Path) -> str:
    """The cluster's names and no others: nobody outside is asked."""
    return f"""
.:53 {{
  bind {NODE_ADDRESS}
  errors
  cache 5
  kubernetes {DOMAIN} {{
    kubeconfig {state / "coredns.kubeconfig"}
    pods insecure
  }}
}}
"""


def objects() -> list[tuple[str, Json]]:
    """What is created before the node starts, with the path to create it at."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    reads = ["list", "watch"]
    role = {
        "metadata": {"name": DNS_USER},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": reads},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reads},
        ],
    }
    return [
        (f"{rbac}/clusterroles", role),
        (f"{rbac}/clusterrolebindings", _binding(DNS_USER, DNS_USER)),
        (f"{rbac}/clusterrolebindings", _binding(API_SERVER_USER, "system:kubelet-api-admin")),
        ("/apis/storage.k8s.io/v1/storageclasses", STORAGE_CLASS),
    ]


def _binding(user: str, role: str) -> Json:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
