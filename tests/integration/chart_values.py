"""Values of the chart to try: each a team's way to install it, and EVERYTHING with each value changed."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DIGEST = f"sha256:{'0a' * 32}"
POOL = {"key": "pool", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}

EVERYTHING: Json = {
    "images": {
        "registry": "registry.example.com:5000/extraction",
        "controller": {
            "repository": "operators/controller",
            "tag": "v2",
            "digest": DIGEST,
            "pullPolicy": "Always",
        },
        "trainer": {"repository": "operators/trainer", "tag": "v3", "digest": DIGEST},
    },
    "imagePullSecrets": [{"name": "registry"}],
    "model": {"name": "registry.example.com/team/qwen3:8b", "endpoint": "https://ollama.gpu", "requests": 8},
    "auto": "adaptive",
    "verbose": True,
    "modelServers": [{"endpoint": "http://ollama.gpu:11434/", "requests": 4, "trainings": 3}],
    "trainingsPerServer": 5,
    "allowed": {
        "endpoints": ["http://ollama-*.gpu:11434", "http://[fd00::1]:11434"],
        "pulls": ["qwen3:*", "registry.example.com/*"],
        "registries": ["registry.example.com"],
        "dataHosts": ["minio.data.svc:9000", "[fd00::7]:9000", "*.corp.example"],
        "priorityClasses": ["low-*"],
        "nodeLabels": ["pool=gpu"],
        "tolerations": ["pool=gpu", "nvidia.com/gpu=*"],
    },
    "trainer": {
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "imagePullSecrets": [{"name": "first"}, {"name": "second"}],
    },
    "watchNamespaces": ["default", "kube-public"],
    "caBundle": {"configMap": "company-ca", "key": "bundle.pem"},
    "proxy": {
        "http": "http://proxy.example.com:3128",
        "https": "http://proxy.example.com:3129",
        "noProxy": "example.org,10.0.0.0/8",
    },
    "networkPolicies": {"enabled": False, "apiServerCidrs": ["10.0.0.1/32", "fd00::/64"]},
    "resyncSeconds": 60,
    "checkSeconds": 3600,
    "outageSeconds": 1200,
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}},
    "healthPort": 9090,
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [POOL],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "podLabels": {"team": "extraction"},
    "podAnnotations": {"example.com/note": "one: two"},
    "aggregateRoles": False,
    "crds": {"enabled": False, "keep": False},
    "ollama": {
        "enabled": True,
        "image": {
            "repository": "mirror.example.com/ollama",
            "tag": "1",
            "digest": DIGEST,
            "pullPolicy": "Always",
        },
        "parallel": 2,
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "32Gi"}},
        "runtimeClassName": "nvidia",
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [POOL],
        "persistence": {"enabled": True, "size": "100Gi", "storageClassName": "fast"},
    },
    "graph": {
        "uri": "neo4j+s://graph.example.com:7687",
        "user": "operator",
        "passwordSecret": {"name": "graph", "key": "secret"},
        "database": "knowledge",
        "cluster": "east",
        "domains": ["team-a=*", "team-?=docs_*"],
    },
    "neo4j": {
        "enabled": True,
        "image": {
            "repository": "mirror.example.com/neo4j",
            "tag": "5",
            "digest": DIGEST,
            "pullPolicy": "Always",
        },
        "existingSecret": "neo4j",
        "resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "3Gi"}},
        "persistence": {"enabled": True, "size": "20Gi", "storageClassName": "fast"},
    },
}
MATRIX: dict[str, Json] = {
    "defaults": {},
    "everything": EVERYTHING,
    "trial": {"ollama": {"enabled": True}, "neo4j": {"enabled": True, "existingSecret": "neo4j"}},
    "trial on a volume": {
        "ollama": {"enabled": True, "persistence": {"enabled": True}},
        "neo4j": {"enabled": True, "existingSecret": "neo4j", "persistence": {"enabled": True}},
    },
    "one namespace": {"watchNamespaces": ["kube-public"]},
    "authorities inline": {"caBundle": {"inline": CERTIFICATE}},
    "the crd is somebody else's": {"crds": {"enabled": False}},
    "the crd goes with the chart": {"crds": {"keep": False}},
    "digests": {"images": {"controller": {"digest": DIGEST}, "trainer": {"digest": DIGEST}}},
    "nothing allowed": {"allowed": {"pulls": [], "nodeLabels": [], "tolerations": []}},
    "no network policies": {"networkPolicies": {"enabled": False}},
}
PROXY = "must be such as http://proxy.example.com:3128, without user and password"
AUTHORITIES = "must be certificates in PEM, without a private key"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
URL = "must be http:// or https:// with a host, such as http://ollama.ollama:11434"
# What is refused, and words of the refusal.
BAD: dict[str, tuple[Json, str]] = {
    "misspelt": ({"modle": {"name": "x"}}, "additional properties 'modle' not allowed"),
    "misspelt within": (
        {"model": {"url": "http://x"}},
        "at '/model': additional properties 'url' not allowed",
    ),
    "manual": ({"auto": "manual"}, "at '/auto': value must be one of 'light', 'medium', 'heavy', 'adaptive'"),
    "switch in words": ({"verbose": "yes"}, "at '/verbose': got string, want boolean"),
    "endpoint without scheme": ({"model": {"endpoint": "ollama:11434"}}, f"model.endpoint: {URL}"),
    "server with a password": (
        {"modelServers": [{"endpoint": "http://u:p@x"}]},
        f"modelServers[0].endpoint: {URL}",
    ),
    "server without endpoint": ({"modelServers": [{"requests": 4}]}, "missing property 'endpoint'"),
    "server twice": (
        {"modelServers": [{"endpoint": "http://a:1"}, {"endpoint": "http://a:1/"}]},
        "modelServers: http://a:1/ is named twice",
    ),
    "too many calls": ({"model": {"requests": 65}}, "at '/model/requests': maximum: got 65, want 64"),
    "no trainings": ({"trainingsPerServer": 0}, "at '/trainingsPerServer': minimum: got 0, want 1"),
    "list as text": (
        {"allowed": {"endpoints": "http://x"}},
        "at '/allowed/endpoints': got string, want array",
    ),
    "two in one": (
        {"allowed": {"pulls": ["qwen3:8b,qwen3:32b"]}},
        "allowed.pulls: each entry is one pattern, without commas and blanks",
    ),
    "tag for a digest": (
        {"images": {"trainer": {"digest": "v1"}}},
        "at '/images/trainer/digest': 'v1' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
    ),
    "pull policy": (
        {"images": {"controller": {"pullPolicy": "always"}}},
        "at '/images/controller/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
    ),
    "pull policy of the trainer": (
        {"images": {"trainer": {"pullPolicy": "Always"}}},
        "at '/images/trainer': additional properties 'pullPolicy' not allowed",
    ),
    "secrets as names": (
        {"imagePullSecrets": ["registry"]},
        "at '/imagePullSecrets/0': got string, want object",
    ),
    "amount": (
        {"trainer": {"resources": {"limits": {"memory": "4GB"}}}},
        'trainer.resources.limits.memory: must be an amount such as 500m, 2 or 4Gi, not "4GB"',
    ),
    "resource": ({"resources": {"limits": {"ram": "1Gi"}}}, "'ram' does not match pattern '^(cpu|memory|"),
    "network": (
        {"networkPolicies": {"apiServerCidrs": ["10.0.0.1"]}},
        'networkPolicies.apiServerCidrs: must be networks such as 10.96.0.1/32, not "10.0.0.1"',
    ),
    "proxy with password": ({"proxy": {"http": "http://u:p@proxy:3128"}}, f"proxy.http: {PROXY}"),
    "bundle of a key": ({"caBundle": {"inline": f"{CERTIFICATE}{KEY}"}}, f"caBundle.inline: {AUTHORITIES}"),
    "bundle of something": ({"caBundle": {"inline": "a file"}}, f"caBundle.inline: {AUTHORITIES}"),
    "two bundles": (
        {"caBundle": {"configMap": "a", "inline": CERTIFICATE}},
        "caBundle: give configMap or inline, not both",
    ),
    "namespaces by pattern": (
        {"watchNamespaces": ["team-*"]},
        'watchNamespaces: must be names of namespaces, no patterns, not "team-*"',
    ),
    "privileged port": ({"healthPort": 80}, "at '/healthPort': minimum: got 80, want 1,024"),
    "seconds as duration": ({"resyncSeconds": "5m"}, "at '/resyncSeconds': got string, want integer"),
    "graph over http": ({"graph": {"uri": "http://neo4j:7474"}}, "graph.uri: must be such as neo4j://"),
    "graph with a password": (
        {"graph": {"uri": "bolt://neo4j:secret@neo4j"}},
        "without user, password and query",
    ),
    "domains without namespace": (
        {"graph": {"domains": ["tech_docs"]}},
        'graph.domains: must be patterns NAMESPACE=DOMAIN such as team-a=*, not "tech_docs"',
    ),
    "password of the graph in the values": (
        {"graph": {"password": "x"}},
        "at '/graph': additional properties 'password' not allowed",
    ),
    "neo4j without password": ({"neo4j": {"enabled": True}}, "create a Secret with the key `password`"),
}
