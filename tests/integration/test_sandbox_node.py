"""What the sandbox promises to its tests: a real API server, pods that live and die as on a node."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import pytest

from tests.integration.conftest import IMAGE, start_node
from tests.integration.waiting import wait_for
from tests.sandbox import kubeconfig, proc
from tests.sandbox.api import Api, ApiError
from tests.sandbox.cluster import NODE, Cluster

Json = dict[str, Any]


def container(*command: str, **fields: Any) -> Json:
    return {"name": "main", "image": f"{IMAGE}:test", "command": list(command), **fields}


def pod(name: str, *command: str, **fields: Any) -> Json:
    own = {key: fields.pop(key) for key in ("env", "resources", "volumeMounts", "image") if key in fields}
    spec = {"restartPolicy": "Never", "containers": [container(*command, **own)], **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def job(name: str, *command: str, **fields: Any) -> Json:
    template = {"spec": {"restartPolicy": "Never", "containers": [container(*command, **fields)]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


class Space:
    """Short words for what the tests do in their namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.api = cluster.api
        self.core = f"/api/v1/namespaces/{namespace}"
        self.batch = f"/apis/batch/v1/namespaces/{namespace}"

    def run(self, body: Json) -> None:
        self.api.create(f"{self.core}/pods", body)

    def state(self, name: str) -> Json:
        """The container's state: one of waiting, running, terminated."""
        statuses = self.api.get(f"{self.core}/pods/{name}")["status"].get("containerStatuses")
        state: Json = statuses[0]["state"] if statuses else {}
        return state

    def until(self, name: str, kind: str) -> Json:
        """Waits for a state of the container and gives what stands in it."""
        found: Json = wait_for(f"{name} {kind}", lambda: self.state(name).get(kind))
        return found

    def ended(self, name: str) -> Json:
        """Waits for the end of a pod's container."""
        return self.until(name, "terminated")

    def pod_of(self, job: str) -> Json:
        """The first pod of a Job."""

        def look() -> list[Json]:
            return self.api.items(f"{self.core}/pods", labelSelector=f"job-name={job}")

        return wait_for(f"a pod of {job}", look)[0]

    def condition(self, job: str) -> str:
        """Waits for the end of a Job: Complete or Failed."""

        def look() -> str | None:
            conditions = self.api.get(f"{self.batch}/jobs/{job}")["status"].get("conditions", [])
            ends = [item["type"] for item in conditions if item["type"] in ("Complete", "Failed")]
            return ends[0] if ends else None

        return wait_for(f"the end of {job}", look)


@pytest.fixture
def space(cluster: Cluster, namespace: str) -> Space:
    return Space(cluster, namespace)


def test_a_job_completes_with_the_message_that_its_program_left(space: Space) -> None:
    write = "open('/dev/termination-log', 'w').write('all good')"
    space.api.create(f"{space.batch}/jobs", job("good", "python", "-c", write))
    assert space.condition("good") == "Complete"
    ended = space.state(space.pod_of("good")["metadata"]["name"])["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (0, "Completed", "all good")


def test_a_job_fails_with_the_exit_code_and_the_end_of_the_log(space: Space) -> None:
    body = job("bad", "sh", "-c", "echo broken; exit 7", terminationMessagePolicy="FallbackToLogsOnError")
    space.api.create(f"{space.batch}/jobs", body)
    assert space.condition("bad") == "Failed"
    ended = space.state(space.pod_of("bad")["metadata"]["name"])["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (7, "Error", "broken\n")


def test_more_memory_than_the_limit_ends_in_oomkilled(space: Space) -> None:
    program = "block = bytearray(b'1') * (200 << 20); import time; time.sleep(60)"
    space.run(pod("greedy", "python", "-c", program, resources={"limits": {"memory": "64Mi"}}))
    ended = space.ended("greedy")
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_the_service_accounts_token_opens_what_its_role_allows_and_no_more(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["mine"]}]
    cluster.api.create(f"{space.core}/serviceaccounts", {"metadata": {"name": "reader"}})
    cluster.api.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    binding = {"metadata": {"name": "reader"}, "roleRef": reference, "subjects": [subject]}
    cluster.api.create(f"{rbac}/rolebindings", binding)
    for name in ("mine", "other"):
        cluster.api.create(f"{space.core}/configmaps", {"metadata": {"name": name}, "data": {"k": name}})
    space.run(pod("reader", "python", "-c", READ_CONFIG_MAPS, serviceAccountName="reader"))
    assert space.ended("reader")["message"] == f"mine in {namespace}, other: 403"


READ_CONFIG_MAPS = """
import json, os, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
host = f"{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
namespace = open(f"{folder}/namespace").read()
trust = ssl.create_default_context(cafile=f"{folder}/ca.crt")
def read(name):
    url = f"https://{host}/api/v1/namespaces/{namespace}/configmaps/{name}"
    request = urllib.request.Request(url)
    request.add_header("Authorization", "Bearer " + open(f"{folder}/token").read())
    try:
        return json.load(urllib.request.urlopen(request, context=trust))["data"]["k"]
    except urllib.error.HTTPError as error:
        return f"{name}: {error.code}"
with open("/dev/termination-log", "w") as file:
    file.write(f"{read('mine')} in {namespace}, {read('other')}")
"""


def test_a_kubernetes_client_finds_its_service_account_by_itself(space: Space, namespace: str) -> None:
    program = (
        "from kubernetes import client, config; config.load_config();"
        "me = client.AuthenticationV1Api().create_self_subject_review({}).status.user_info.username;"
        "open('/dev/termination-log', 'w').write(me)"
    )
    space.run(pod("client", "python", "-c", program))
    assert space.ended("client")["message"] == f"system:serviceaccount:{namespace}:default"


def test_a_claims_folder_outlives_the_pods_that_write_to_it(space: Space) -> None:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    space.api.create(f"{space.core}/persistentvolumeclaims", {"metadata": {"name": "disk"}, "spec": wanted})
    disk = {
        "volumeMounts": [{"name": "disk", "mountPath": "/disk"}],
        "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}],
    }
    space.run(pod("first", "sh", "-c", "echo kept > /disk/file", **disk))
    assert space.ended("first")["exitCode"] == 0
    space.run(pod("second", "sh", "-c", "cat /disk/file > /dev/termination-log", **disk))
    assert space.ended("second")["message"] == "kept\n"


def test_a_pod_waits_for_a_configmap_that_is_not_there_yet(space: Space) -> None:
    env = [{"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "word"}}}]
    space.run(pod("patient", "sh", "-c", "printf %s $WORD > /dev/termination-log", env=env))
    waiting = wait_for("a reason", lambda: space.state("patient").get("waiting", {}).get("message"))
    assert waiting == 'configmap "late" not found'
    space.api.create(f"{space.core}/configmaps", {"metadata": {"name": "late"}, "data": {"word": "now"}})
    assert space.ended("patient")["message"] == "now"


def test_an_unknown_image_is_told_as_a_kubelet_tells_it(space: Space) -> None:
    space.run(pod("foreign", "sh", image="nginx"))
    wait_for(
        "ImagePullBackOff",
        lambda: space.state("foreign").get("waiting", {}).get("reason") == "ImagePullBackOff",
    )


def test_what_is_not_simulated_fails_with_the_field_that_is_to_blame(space: Space) -> None:
    init = [{"name": "first", "image": IMAGE}]
    space.run(pod("init", "sh", initContainers=init))
    status = wait_for(
        "its failure",
        lambda: (
            found if (found := space.api.get(f"{space.core}/pods/init")["status"]).get("message") else None
        ),
    )
    assert (status["phase"], status["reason"]) == ("Failed", "NotSimulated")
    assert "initContainers" in status["message"]


def test_a_crashing_container_is_started_again_after_a_pause(space: Space) -> None:
    space.run(pod("crash", "sh", "-c", "exit 3", restartPolicy="Always"))

    def restarted() -> Json | None:
        status: Json = space.api.get(f"{space.core}/pods/crash")["status"]
        [told] = status.get("containerStatuses") or [{"restartCount": 0}]
        return told if told["restartCount"] > 1 and "waiting" in told["state"] else None

    told = wait_for("two restarts", restarted)
    assert told["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert told["lastState"]["terminated"]["exitCode"] == 3


def test_deletion_lets_the_program_end_and_leaves_no_process(space: Space) -> None:
    space.run(pod("leaving", "python", "-c", LEAVES_LATE))
    wait_for("its process", lambda: is_up(space, "leaving"))
    assert processes_of("leaving")
    space.api.delete(f"{space.core}/pods/leaving")
    wait_for("its end", lambda: space.api.find(f"{space.core}/pods/leaving") is None)
    assert not processes_of("leaving")


# Its child leaves the session, as daemons do.
LEAVES_LATE = """
import signal, subprocess, sys, time
subprocess.Popen(["sleep", "1000"], start_new_session=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up")
time.sleep(1000)
"""


def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(space: Space) -> None:
    stubborn = "trap '' TERM; echo up; while true; do sleep 0.1; done"
    space.run(pod("stubborn", "sh", "-c", stubborn, terminationGracePeriodSeconds=1))
    wait_for("its process", lambda: is_up(space, "stubborn"))
    started = time.monotonic()
    space.api.delete(f"{space.core}/pods/stubborn")
    wait_for("its end", lambda: space.api.find(f"{space.core}/pods/stubborn") is None)
    assert time.monotonic() - started >= 1
    assert not processes_of("stubborn")


def test_kubectl_logs_shows_the_output_and_follows_it_to_the_end(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    space.run(pod("talking", "sh", "-c", f"echo one; echo up; {UNTIL_DONE}; echo three"))
    wait_for("its first lines", lambda: is_up(space, "talking"))
    assert cluster.kubectl("logs", "-n", namespace, "talking", "--tail=1") == "up\n"
    command = [str(cluster.kubectl_program), f"--kubeconfig={cluster.admin_kubeconfig}", "-n", namespace]
    with subprocess.Popen([*command, "logs", "-f", "talking"], stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        assert [follower.stdout.readline() for _ in range(2)] == ["one\n", "up\n"]
        let_go("talking")
        assert follower.communicate(timeout=30)[0] == "three\n"


def test_a_deployment_rolls_out_when_its_probe_passes_and_replaces_its_pods(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT % "one")
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/server", "--timeout=30s")
    [first] = space.api.items(f"{space.core}/pods")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT % "two")
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/server", "--timeout=30s")
    wait_for("the old pod's end", lambda: len(space.api.items(f"{space.core}/pods")) == 1)
    [second] = space.api.items(f"{space.core}/pods")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


# A free port cannot be told to a Deployment: the program takes one, and the probe's port is fixed but rare.
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
      - name: main
        image: domaintraining:test
        command: [python, -m, http.server, --bind, 127.0.0.1, "47613"]
        env: [{name: VERSION, value: "%s"}]
        readinessProbe: {httpGet: {path: /, port: 47613}, periodSeconds: 1}
"""


UNTIL_DONE = "while ! test -e done; do sleep 0.05; done"


def test_pods_outlive_the_node_program_and_their_end_is_told_later(cluster: Cluster, space: Space) -> None:
    space.run(pod("steady", "sh", "-c", "echo up; sleep 1000"))
    space.run(pod("ending", "sh", "-c", f"echo up; {UNTIL_DONE}; exit 5"))
    wait_for("both processes", lambda: is_up(space, "steady") and is_up(space, "ending"))
    before = processes_of("steady")
    cluster.component(NODE).stop(signal.SIGKILL)
    let_go("ending")
    wait_for("ending's end", lambda: not processes_of("ending"))
    start_node(cluster)
    assert space.ended("ending")["exitCode"] == 5
    assert "running" in space.state("steady")
    assert processes_of("steady") == before


def test_a_kubeconfig_for_a_service_account_is_that_account_and_not_admin(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    file = cluster.kubeconfig_for("default", namespace)
    who = cluster.kubectl(
        "--kubeconfig", str(file), "auth", "whoami", "-o=jsonpath={.status.userInfo.username}"
    )
    assert who == f"system:serviceaccount:{namespace}:default"
    with pytest.raises(ApiError, match="Forbidden"):
        Api(kubeconfig.read(file)).get(f"{space.core}/secrets")


def log_of(space: Space, name: str) -> str:
    try:
        return space.api.text(f"{space.core}/pods/{name}/log")
    except ApiError:
        return ""


def is_up(space: Space, name: str) -> bool:
    """Whether the pod's program has said so."""
    return "up" in log_of(space, name)


def let_go(name: str) -> None:
    """Makes the file that the pod's program waits for in its working folder."""
    (proc.PROC / str(processes_of(name)[0]) / "cwd" / "done").touch()


def processes_of(name: str) -> list[int]:
    """The process ids of a pod, found by what only its processes have in their environment."""
    return sorted(process.pid for process in proc.with_environment(f"HOSTNAME={name}"))
