"""The control plane's components and the flags they run with."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

# What needs nodes of a cloud, or pods with addresses of their own, is left out: node lifecycle, node IPAM,
# routes, service load balancers, endpoints (a pod's address is 127.0.0.1, the API refuses it for endpoints).
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
)
# Admission that works hand in hand with controllers left out: nothing would take the node's taint away.
ADMISSION_OFF = "TaintNodesByCondition"

# Below what the system takes for outgoing connections: one of those would be there before a slow program is.
OWN_PORTS = range(20_000, 30_000)

# Persistent volumes are made by the node: a folder for each claim of the default storage class.
PROVISIONER = "sandbox.domaintraining.test/simulated-folder"
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "simulated-folder",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}
# What the provisioner may do beyond a node's rights: the role that Kubernetes ships for provisioners.
RIGHTS = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "simulated-folder-provisioner"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:persistent-volume-provisioner",
    },
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}
# Who asked for what, for tests of rights: a line for each answered request of a service account.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


@dataclass(frozen=True)
class Ports:
    """Loopback ports of one sandbox."""

    api: int
    etcd: int

    def record(self) -> dict[str, int]:
        """What is written down for later processes."""
        return asdict(self)


def free_ports() -> Ports:
    """Two ports that nobody listens on at the moment; none that the system gives to connections meanwhile."""
    candidates = iter(random.sample(OWN_PORTS, len(OWN_PORTS)))
    api, etcd = islice(filter(_is_free, candidates), 2)
    return Ports(api=api, etcd=etcd)


def _is_free(port: int) -> bool:
    with socket.socket() as listening:
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def node_user(node: str) -> str:
    """The user name by which the Node authorizer knows a node."""
    return f"system:node:{node}"


def tokens_csv(admin: str, nodes: dict[str, str]) -> str:
    """The API server's file of static tokens; `nodes` has each node's token by its name."""
    lines = [f"{admin},admin,admin,system:masters"]
    lines += [f"{token},{node_user(node)},{node},system:nodes" for node, token in nodes.items()]
    return "\n".join(lines) + "\n"


def new_token() -> str:
    """A token nobody can guess."""
    return secrets.token_hex(24)


def commands(binary: Path, state: Path, ports: Ports) -> dict[str, list[str]]:
    """Each component's command, in the order of starting."""
    return {
        "etcd": [
            str(binary),
            "etcd",
            f"--data-dir={state / 'etcd'}",
            f"--listen=http://127.0.0.1:{ports.etcd}",
        ],
        "kube-apiserver": [str(binary), "kube-apiserver", *_api_server_flags(state, ports)],
        "kube-controller-manager": [
            str(binary),
            "kube-controller-manager",
            *_client_flags(state),
            f"--controllers={','.join(CONTROLLERS)}",
            f"--root-ca-file={state / 'certificates' / 'ca.crt'}",
            f"--service-account-private-key-file={state / 'certificates' / 'sa.key'}",
            "--use-service-account-credentials=false",
        ],
        "kube-scheduler": [str(binary), "kube-scheduler", *_client_flags(state)],
    }


def _api_server_flags(state: Path, ports: Ports) -> Sequence[str]:
    pki = state / "certificates"
    return (
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.api}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={state / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--disable-admission-plugins={ADMISSION_OFF}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-node-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-node-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'sa.key'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--profiling=false",
        f"--audit-policy-file={state / 'audit-policy.json'}",
        f"--audit-log-path={state / 'audit.log'}",
        "--audit-log-maxsize=64",  # MB
        "--audit-log-maxbackup=1",
    )


def _client_flags(state: Path) -> Sequence[str]:
    return (
        f"--kubeconfig={state / 'admin.kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        # The default of 20 requests a second makes the 20th Job of a test wait for seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=500",
    )
