"""Requests to the API server are those of its documentation, and are repeated where that helps."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from domaintraining.api.names import MANAGER
from domaintraining.controller import kube
from domaintraining.controller.cluster import CONFIG_MAP, DOMAIN_TRAINING, Cluster, ClusterError
from domaintraining.controller.kube import KubeCluster
from domaintraining.controller.memory import MemoryCluster

from .serving import Answer, serving

MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "a", "name": "m", "labels": {"x": "1"}},
    "data": {"k": "v"},
}
TRAINING: dict[str, Any] = {
    "apiVersion": DOMAIN_TRAINING.api_version,
    "kind": "DomainTraining",
    "metadata": {"namespace": "a", "name": "t"},
    "spec": {"auto": "light"},
}


class Recording:
    """Answers by a script, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, str, Any]] = []
        self.types: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        token = request.headers.get("Authorization", "")
        self.requests.append((request.method, request.path_qs, token, json.loads(text) if text else None))
        self.types.append(request.headers["Content-Type"])
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status)


def asked(
    answer: Answer,
    folder: Path,
    question: Callable[[Cluster], Awaitable[Any]],
    *,
    between: Callable[[], object] = lambda: None,
) -> Any:
    async def ask() -> Any:
        async with serving(answer) as url:
            config = {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"tokenFile": "token"}}],
            }
            (folder / "config").write_text(json.dumps(config))
            (folder / "token").write_text("first")
            cluster = await KubeCluster.connect({"KUBECONFIG": str(folder / "config")})
            between()
            try:
                return await question(cluster)
            finally:
                await cluster.close()

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "_pause", lambda *_: 0)


def test_apply_is_a_forced_server_side_apply(tmp_path: Path) -> None:
    """With the controller's field manager, without managedFields, status on its own subresource."""
    server = Recording((200, MAP))
    given = MAP | {"metadata": MAP["metadata"] | {"managedFields": []}}
    assert asked(server, tmp_path, lambda cluster: cluster.apply(given)) == MAP
    assert asked(server, tmp_path, lambda cluster: cluster.apply_status(TRAINING | {"status": {}}))
    query = f"?fieldManager={MANAGER}&force=true"
    path = "/apis/training.aegisrag.io/v1alpha1/namespaces/a/domaintrainings/t/status"
    assert server.requests[0] == ("PATCH", f"/api/v1/namespaces/a/configmaps/m{query}", "Bearer first", MAP)
    assert server.requests[1][:2] == ("PATCH", path + query)
    assert set(server.types) == {"application/apply-patch+yaml"}


def test_a_merge_is_a_merge_patch(tmp_path: Path) -> None:
    """With the controller's field manager; null removes a field."""
    server = Recording((200, MAP))
    given = MAP | {"data": {"k": "v", "gone": None}}
    assert asked(server, tmp_path, lambda cluster: cluster.merge(given)) == MAP
    path = f"/api/v1/namespaces/a/configmaps/m?fieldManager={MANAGER}"
    assert server.requests == [("PATCH", path, "Bearer first", given)]
    assert server.types == ["application/merge-patch+json"]


def test_lists_are_read_page_by_page_and_again_when_a_page_ran_out(tmp_path: Path) -> None:
    """Items get the kind that the API server leaves out."""
    item = {"metadata": {"name": "m"}}
    first = (200, {"metadata": {"continue": "next"}, "items": [item]})
    server = Recording(first, (410, {"reason": "Expired"}), (200, {"metadata": {}, "items": [item, item]}))
    found = asked(server, tmp_path, lambda cluster: cluster.find(CONFIG_MAP, None, {"x": "1"}))
    assert found == [{"apiVersion": "v1", "kind": "ConfigMap"} | item] * 2
    assert [path for _, path, _, _ in server.requests] == [
        "/api/v1/configmaps?labelSelector=x%3D1&limit=200",
        "/api/v1/configmaps?labelSelector=x%3D1&limit=200&continue=next",
        "/api/v1/configmaps?labelSelector=x%3D1",
    ]


def test_what_may_pass_is_tried_three_times_more(tmp_path: Path) -> None:
    """429 and 5xx; then the last answer counts."""
    passing = Recording((429, {}), (503, {}), (500, {}), (200, MAP))
    assert asked(passing, tmp_path, lambda cluster: cluster.get(CONFIG_MAP, "a", "m")) == MAP
    lasting = Recording((503, {"reason": "ServiceUnavailable", "message": "no"}))
    with pytest.raises(ClusterError, match="GET /api/v1/namespaces/a/configmaps/m: no"):
        asked(lasting, tmp_path, lambda cluster: cluster.get(CONFIG_MAP, "a", "m"))
    assert len(lasting.requests) == 4


def test_refusals_are_told_apart_and_not_repeated(tmp_path: Path) -> None:
    """Conflict, forbidden, gone; a missing object is None."""
    for status, kind in [(409, "conflict"), (403, "forbidden"), (404, "gone")]:
        server = Recording((status, {"reason": "R", "message": "said"}))
        with pytest.raises(ClusterError) as error:
            asked(server, tmp_path, lambda cluster: cluster.create(MAP))
        assert getattr(error.value, kind)
        assert len(server.requests) == 1
    missing = Recording((404, {"reason": "NotFound"}))
    assert asked(missing, tmp_path, lambda cluster: cluster.get(CONFIG_MAP, "a", "m")) is None


def test_deletion_is_for_one_uid_and_forgives_absence(tmp_path: Path) -> None:
    """Owned objects go in the background."""
    server = Recording((404, {"reason": "NotFound"}))
    asked(server, tmp_path, lambda cluster: cluster.delete(CONFIG_MAP, "a", "m", uid="u1"))
    method, _, _, body = server.requests[0]
    assert method == "DELETE"
    assert (body["propagationPolicy"], body["preconditions"]) == ("Background", {"uid": "u1"})


def test_a_token_that_ran_out_is_read_again(tmp_path: Path) -> None:
    """Once for each request."""
    server = Recording((401, {"reason": "Unauthorized"}), (200, MAP))
    found = asked(
        server,
        tmp_path,
        lambda cluster: cluster.get(CONFIG_MAP, "a", "m"),
        between=lambda: (tmp_path / "token").write_text("second"),
    )
    assert found == MAP
    assert [token for _, _, token, _ in server.requests] == ["Bearer first", "Bearer second"]


def test_a_lost_event_is_no_error(tmp_path: Path) -> None:
    """And is not repeated."""
    server = Recording((500, {}))
    asked(server, tmp_path, lambda cluster: cluster.post_event({"metadata": {"namespace": "a"}}))
    assert [path for _, path, _, _ in server.requests] == ["/apis/events.k8s.io/v1/namespaces/a/events"]


def test_no_answer_is_a_cluster_error(tmp_path: Path) -> None:
    """With status 0."""

    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(ClusterError, match="no answer") as error:
        asked(drop, tmp_path, lambda cluster: cluster.get(CONFIG_MAP, "a", "m"))
    assert error.value.status == 0


def test_the_fake_keeps_the_rules_it_claims() -> None:
    """Names are taken once, uid guards deletion, a spec moves the generation, equal writes change nothing."""

    async def use() -> None:
        cluster = MemoryCluster(TRAINING)
        made = await cluster.create(MAP)
        with pytest.raises(ClusterError) as taken:
            await cluster.create(MAP)
        assert taken.value.conflict
        assert await cluster.apply(MAP) == made
        assert await cluster.find(CONFIG_MAP, "a", {"x": "1"}) == [made]
        assert (
            await cluster.find(CONFIG_MAP, "b", {}) == await cluster.find(CONFIG_MAP, None, {"x": "2"}) == []
        )
        merged = await cluster.merge(MAP | {"data": {"k": None, "n": "v"}})
        assert (merged["data"], merged["metadata"]["labels"]) == ({"n": "v"}, {"x": "1"})
        with pytest.raises(ClusterError):
            await cluster.delete(CONFIG_MAP, "a", "m", uid="another")
        await cluster.delete(CONFIG_MAP, "a", "m", uid=made["metadata"]["uid"])
        assert await cluster.get(CONFIG_MAP, "a", "m") is None
        status = await cluster.apply_status(TRAINING | {"status": {"auto": "light"}})
        assert (status["metadata"]["generation"], status["spec"]) == (1, TRAINING["spec"])
        changed = await cluster.apply(TRAINING | {"spec": {"auto": "heavy"}})
        assert (changed["metadata"]["generation"], changed["status"]) == (2, {"auto": "light"})
        assert cluster.writes[:2] == ["create ConfigMap a/m"] * 2
        assert cluster.writes[-2:] == ["status DomainTraining a/t", "apply DomainTraining a/t"]

    asyncio.run(use())
