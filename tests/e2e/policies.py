"""What a NetworkPolicy allows, for a node that does not enforce it. Pure.

See https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """Who is at an address: a pod with its labels and those of its namespace, or nobody of the cluster."""

    address: str
    namespace: str = ""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def selects(policy: Json, labels: Mapping[str, str], direction: str) -> bool:
    """Whether a policy restricts a pod with these labels in a direction, Ingress or Egress."""
    spec = policy["spec"]
    default = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    return direction in spec.get("policyTypes", default) and _matches(spec.get("podSelector"), labels)


def allows_egress(policies: Iterable[Json], peer: Peer, protocol: str, port: int) -> bool:
    """Whether one of the policies, which select the pod and lie in its namespace, lets it reach a peer.

    `protocol` is tcp or udp.
    """
    return any(
        _ports(rule, protocol, port) and _peers(rule.get("to"), policy["metadata"]["namespace"], peer)
        for policy in policies
        for rule in policy["spec"].get("egress") or []
    )


def _ports(rule: Json, protocol: str, port: int) -> bool:
    wanted = rule.get("ports")
    return not wanted or any(
        one.get("protocol", "TCP").lower() == protocol and one.get("port", port) <= port <= _last(one, port)
        for one in wanted
    )


def _last(one: Json, port: int) -> int:
    return int(one.get("endPort", one.get("port", port)))


def _peers(wanted: Iterable[Json] | None, own: str, peer: Peer) -> bool:
    return not wanted or any(_is_peer(one, own, peer) for one in wanted)


def _is_peer(one: Json, own: str, peer: Peer) -> bool:
    if block := one.get("ipBlock"):
        address = ipaddress.ip_address(peer.address)
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and not any(address in ipaddress.ip_network(each) for each in block.get("except", []))
    if not peer.namespace:
        return False
    spaces = one.get("namespaceSelector")
    in_space = peer.namespace == own if spaces is None else _matches(spaces, peer.namespace_labels)
    return in_space and _matches(one.get("podSelector"), peer.labels)


def _matches(selector: Json | None, labels: Mapping[str, str]) -> bool:
    """An empty selector, and none at all, take everything."""
    selector = selector or {}
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_expression(one, labels) for one in selector.get("matchExpressions", []))


def _expression(one: Json, labels: Mapping[str, str]) -> bool:
    found = labels.get(one["key"])
    match one["operator"]:
        case "In":
            return found in one["values"]
        case "NotIn":
            return found not in one["values"]
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
    raise ValueError(f"no such operator: {one['operator']}")
