"""The reading of NetworkPolicies by which the end-to-end tests judge what a trainer has reached."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.policies import Peer, allows_egress, selects

MODEL = Peer("10.244.0.7", "ollama", {"kubernetes.io/metadata.name": "ollama"}, {"app": "ollama"})
OUTSIDE = Peer("192.0.2.4")
OWN = Peer("10.244.0.9", "team", {"kubernetes.io/metadata.name": "team"}, {"app": "other"})


def policy(*egress: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": list(egress), **spec}
    return {"metadata": {"namespace": "team"}, "spec": body}


@pytest.mark.parametrize(
    ("egress", "peer", "port", "allowed"),
    [
        ([], MODEL, 11434, "no"),
        ([{}], OUTSIDE, 1, "yes"),
        ([{"ports": [{"port": 53, "protocol": "UDP"}]}], OUTSIDE, 53, "no"),
        ([{"ports": [{"port": 53}]}], OUTSIDE, 53, "yes"),
        ([{"ports": [{"port": 10, "endPort": 20}]}], OUTSIDE, 15, "yes"),
        ([{"ports": [{"port": 10, "endPort": 20}]}], OUTSIDE, 21, "no"),
        ([{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}], OUTSIDE, 1, "yes"),
        ([{"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.4/32"]}}]}], OUTSIDE, 1, "no"),
        ([{"to": [{"podSelector": {}}]}], OWN, 1, "yes"),
        ([{"to": [{"podSelector": {}}]}], MODEL, 1, "no"),
        ([{"to": [{"podSelector": {}}]}], OUTSIDE, 1, "no"),
        ([{"to": [{"namespaceSelector": {}}]}], MODEL, 1, "yes"),
        (
            [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}]}],
            MODEL,
            1,
            "no",
        ),
        (
            [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchExpressions": [
                                    {
                                        "key": "kubernetes.io/metadata.name",
                                        "operator": "In",
                                        "values": ["ollama"],
                                    }
                                ]
                            }
                        }
                    ],
                    "ports": [{"port": 11434}],
                }
            ],
            MODEL,
            11434,
            "yes",
        ),
    ],
)
def test_egress_is_allowed_by_ports_and_peers_of_one_rule(
    egress: list[dict[str, Any]], peer: Peer, port: int, allowed: str
) -> None:
    assert allows_egress([policy(*egress)], peer, "tcp", port) is (allowed == "yes")


def test_a_policy_restricts_the_pods_that_it_selects() -> None:
    chosen = policy(podSelector={"matchLabels": {"role": "trainer"}})
    assert selects(chosen, {"role": "trainer"}, "Ingress")
    assert selects(chosen, {"role": "trainer"}, "Egress")
    assert not selects(chosen, {"role": "other"}, "Ingress")
    assert not selects(policy(policyTypes=["Egress"]), {}, "Ingress")
