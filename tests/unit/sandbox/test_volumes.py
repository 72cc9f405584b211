"""Volumes of pods as local folders."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import components
from tests.sandbox.node import claims, support, volumes
from tests.sandbox.node.environment import MissingReference
from tests.sandbox.node.volumes import File

Json = dict[str, Any]


@dataclass
class LocalSource:
    """The Source of the tests: objects from a dict, tokens that count."""

    objects: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    folder: Path = Path("/nowhere")
    tokens: int = 0

    async def data(self, kind: str, namespace: str, name: str) -> Mapping[str, bytes] | None:
        assert namespace == "team"
        return self.objects.get((kind, name))

    async def token(self, pod: Json, audience: str, seconds: int) -> str:
        self.tokens += 1
        return f"token {self.tokens} of {pod['metadata']['name']} for {audience or 'the API'}, {seconds} s"

    async def claim(self, namespace: str, name: str) -> Path:
        return self.folder / namespace / name


def pod(*found: Json) -> Json:
    return {
        "metadata": {"name": "p", "namespace": "team", "uid": "u", "labels": {"b": "2", "a": "1"}},
        "spec": {"volumes": list(found), "containers": []},
    }


def made(tmp_path: Path, source: LocalSource, *found: Json) -> dict[str, str]:
    asyncio.run(volumes.materialise(pod(*found), tmp_path, source))
    files = (file for file in tmp_path.rglob("*") if file.is_file())
    return {str(file.relative_to(tmp_path)): file.read_text() for file in files}


def test_config_maps_and_secrets_become_files(tmp_path: Path) -> None:
    source = LocalSource({("configMap", "cm"): {"a": b"1", "b": b"2"}, ("secret", "s"): {"k": b"v"}})
    items = [{"key": "b", "path": "deep/b.txt", "mode": 0o600}]
    found = made(
        tmp_path,
        source,
        {"name": "all", "configMap": {"name": "cm"}},
        {"name": "some", "configMap": {"name": "cm", "items": items, "defaultMode": 0o444}},
        {"name": "sec", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "none", "configMap": {"name": "absent", "optional": True}},
        {"name": "empty", "emptyDir": {}},
    )
    assert found == {"all/a": "1", "all/b": "2", "some/deep/b.txt": "2", "sec/k": "v"}
    assert stat.S_IMODE((tmp_path / "some/deep/b.txt").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sec/k").stat().st_mode) == 0o400
    assert (tmp_path / "none").is_dir()
    assert (tmp_path / "empty").is_dir()


def test_a_projected_volume_holds_token_ca_and_fields(tmp_path: Path) -> None:
    source = LocalSource({("configMap", "kube-root-ca.crt"): {"ca.crt": b"CA"}})
    fields = [
        {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]
    found = made(
        tmp_path,
        source,
        {
            "name": "access",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "me"}},
                    {
                        "configMap": {
                            "name": "kube-root-ca.crt",
                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                        }
                    },
                    {"downwardAPI": {"items": fields}},
                ]
            },
        },
    )
    assert found == {
        "access/token": "token 1 of p for me, 600 s",
        "access/ca.crt": "CA",
        "access/namespace": "team",
        "access/labels": 'a="1"\nb="2"',
    }


def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left(tmp_path: Path) -> None:
    source = LocalSource()
    token = volumes.Token(tmp_path / "token", "", 1000)
    for now, expected in ((100.0, 1), (899.0, 1), (900.0, 2), (901.0, 2)):
        asyncio.run(volumes.renew([token], pod(), source, now))
        assert (source.tokens, now) == (expected, now)
    assert (tmp_path / "token").read_text() == "token 2 of p for the API, 1000 s"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_claim_is_a_link_to_its_folder(tmp_path: Path) -> None:
    source = LocalSource(folder=tmp_path / "disk")
    journal = {"name": "journal", "persistentVolumeClaim": {"claimName": "j"}}
    for _ in range(2):  # as when the node is started again
        asyncio.run(volumes.materialise(pod(journal), tmp_path / "volumes", source))
    assert (tmp_path / "volumes" / "journal").readlink() == tmp_path / "disk" / "team" / "j"


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"name": "v", "configMap": {"name": "absent"}}, 'configmap "absent" not found'),
        ({"name": "v", "secret": {"secretName": "absent"}}, 'secret "absent" not found'),
        (
            {"name": "v", "configMap": {"name": "cm", "items": [{"key": "no", "path": "x"}]}},
            'configmap "cm" references non-existent config key: no',
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, volume: Json, words: str) -> None:
    with pytest.raises(MissingReference, match=words):
        made(tmp_path, LocalSource({("configMap", "cm"): {"a": b""}}), volume)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_no_file_leaves_its_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(MissingReference, match="stays inside"):
        volumes.write(tmp_path / "v", [File(path, b"")])
    assert not list(tmp_path.glob("x"))


def test_binary_entries_and_secrets_are_decoded() -> None:
    found = {"data": {"t": "text"}, "binaryData": {"b": "AAE="}}
    assert volumes.entries("configMap", found) == {"t": b"text", "b": b"\0\1"}
    assert volumes.entries("secret", {"data": {"k": "djE="}}) == {"k": b"v1"}
    assert volumes.entries("configMap", {}) == {}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"initContainers": [{}]}, "init containers"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volume v: hostPath"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]}, "projected"),
        ({"containers": [{"name": "c", "volumeMounts": [{"mountPath": "/a", "subPath": "b"}]}]}, "subPath"),
        ({"containers": [{"name": "c", "livenessProbe": {"exec": {}}}]}, "livenessProbe"),
        ({"containers": [{"name": "c", "lifecycle": {"preStop": {}}}]}, "lifecycle"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(spec: Json, words: str) -> None:
    assert words in support.not_simulated({"spec": {"containers": [], **spec}})


def test_a_trainers_pod_is_all_simulated() -> None:
    found = [{"name": "a", "emptyDir": {}}, {"name": "b", "projected": {"sources": [{"configMap": {}}]}}]
    container = {"name": "c", "readinessProbe": {"httpGet": {}}, "volumeMounts": [{"mountPath": "/a"}]}
    assert support.not_simulated({"spec": {"volumes": found, "containers": [container]}}) == ""


def claim(**metadata: Any) -> Json:
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    annotations = {"volume.kubernetes.io/storage-provisioner": components.PROVISIONER}
    return {
        "metadata": {"name": "j", "namespace": "team", "uid": "u", "annotations": annotations, **metadata},
        "spec": {**spec, "storageClassName": "simulated-folder"},
    }


def test_only_claims_of_this_provisioner_get_a_volume() -> None:
    bound = claim()
    bound["spec"]["volumeName"] = "pvc-u"
    assert claims.is_waiting(claim())
    assert not claims.is_waiting(claim(annotations={}))
    assert not claims.is_waiting(claim(deletionTimestamp="now"))
    assert not claims.is_waiting(bound)


def test_a_claims_volume_is_a_folder_with_the_claims_uid() -> None:
    volume = claims.volume_for(claim(), Path("/state/volumes"))
    assert volume["spec"]["hostPath"]["path"] == "/state/volumes/pvc-u"
    assert volume["spec"]["claimRef"]["uid"] == "u"
    assert not claims.is_released(volume)
    assert claims.is_released({**volume, "status": {"phase": "Released"}})
