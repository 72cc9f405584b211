"""What the sandbox promises to its tests: a real API server, pods that live and die as on a node."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import pytest

from tests.integration.conftest import start_node
from tests.integration.waiting import wait_for
from tests.integration.workloads import UNTIL_DONE, Space, job, let_go, pod, processes_of
from tests.sandbox import components, kubeconfig
from tests.sandbox.api import Api, ApiError
from tests.sandbox.cluster import NODE, Cluster

Json = dict[str, Any]


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
    init = [{"name": "first", "image": "domaintraining"}]
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
    wait_for("its process", lambda: space.is_up("leaving"))
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
    wait_for("its process", lambda: space.is_up("stubborn"))
    started = time.monotonic()
    space.api.delete(f"{space.core}/pods/stubborn")
    wait_for("its end", lambda: space.api.find(f"{space.core}/pods/stubborn") is None)
    assert time.monotonic() - started >= 1
    assert not processes_of("stubborn")


def test_a_namespace_can_be_deleted_while_a_pod_runs_in_it(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    """It takes no events any more; the node's word that the pod is gone does not wait for them."""
    space.run(pod("running", "sh", "-c", "echo up; sleep 1000"))
    wait_for("the process", lambda: space.is_up("running"))
    cluster.kubectl("delete", "namespace", namespace, "--timeout=30s")
    assert not processes_of("running")
    cluster.kubectl("create", "namespace", namespace)  # the fixture deletes it


def test_kubectl_logs_shows_the_output_and_follows_it_to_the_end(
    cluster: Cluster, namespace: str, space: Space
) -> None:
    space.run(pod("talking", "sh", "-c", f"echo one; echo up; {UNTIL_DONE}; echo three"))
    wait_for("its first lines", lambda: space.is_up("talking"))
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
    port = components.free_ports().api
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT % (port, "one", port))
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/server", "--timeout=30s")
    [first] = space.api.items(f"{space.core}/pods")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT % (port, "two", port))
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/server", "--timeout=30s")
    wait_for("the old pod's end", lambda: len(space.api.items(f"{space.core}/pods")) == 1)
    [second] = space.api.items(f"{space.core}/pods")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


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
        command: [python, -m, http.server, --bind, 127.0.0.1, "%d"]
        env: [{name: VERSION, value: "%s"}]
        readinessProbe: {httpGet: {path: /, port: %d}, periodSeconds: 1}
"""


def test_pods_outlive_the_node_program_and_their_end_is_told_later(cluster: Cluster, space: Space) -> None:
    space.run(pod("steady", "sh", "-c", "echo up; sleep 1000"))
    space.run(pod("ending", "sh", "-c", f"echo up; {UNTIL_DONE}; exit 5"))
    wait_for("both processes", lambda: space.is_up("steady") and space.is_up("ending"))
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
