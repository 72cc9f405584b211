"""The node's networks on this machine: two bridges, the guard that lets no pod out, and the way back.

The guard comes first and goes last: between its rules no packet of a pod leaves the machine, and of the
machine itself pods reach the API server and DNS.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.sandbox.errors import SandboxError

NODE_ADDRESS: Final = "10.200.0.1"
PODS: Final = "10.244.0.0/24"
SERVICES: Final = "10.96.0.0/16"
API_SERVICE: Final = "10.96.0.1"
API_PORT: Final = 6443
NODE_BRIDGE: Final = "dtnode0"
POD_BRIDGE: Final = "dtpods0"
BRIDGES: Final = (POD_BRIDGE, NODE_BRIDGE)
POD_NETWORK: Final = "domaintraining-e2e"
GUARD: Final = "domaintraining_e2e"
FLOWS: Final = "flows"
PROXY_TABLES: Final = ("ip kube-proxy", "ip6 kube-proxy")
# What kubelet and kube-proxy set, and what lets packets between pods pass the packet filter.
SYSCTLS: Final = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
)
KERNEL: Final = Path("/proc/sys")
BOOT_ID: Final = KERNEL / "kernel/random/boot_id"


class Flow(NamedTuple):
    """Packets of one kind from a pod."""

    source: str
    target: str
    protocol: str
    port: int


def guard_rules(*, forwarding: bool) -> str:
    """The guard as `nft -f` takes it; `forwarding`: whether the machine forwards for others already."""
    noted = (
        f'iifname "{POD_BRIDGE}" ct state new update @{FLOWS} '
        "{ ip saddr . ip daddr . meta l4proto . th dport }"
    )
    others = "" if forwarding else f'iifname != "{POD_BRIDGE}" drop'
    return f"""
table inet {GUARD}
delete table inet {GUARD}
table inet {GUARD} {{
  set {FLOWS} {{
    type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags dynamic;
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    {noted}
    iifname "{POD_BRIDGE}" oifname != "{POD_BRIDGE}" reject with icmpx type admin-prohibited
    oifname "{POD_BRIDGE}" iifname != "{POD_BRIDGE}" drop
    {others}
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname != "{POD_BRIDGE}" accept
    {noted}
    ct state established,related accept
    ip daddr {NODE_ADDRESS} tcp dport {{ {API_PORT}, 53 }} accept
    ip daddr {NODE_ADDRESS} udp dport 53 accept
    reject with icmpx type admin-prohibited
  }}
}}
"""


def up(record: Path) -> None:
    """Guard, notes of the kernel's settings (into `record`), bridge, forwarding: in this order.

    Raises SandboxError where the kernel refuses.
    """
    forwarding = (KERNEL / "net/ipv4/ip_forward").read_text(encoding="ascii").strip() == "1"
    run("nft", "-f", "-", stdin=guard_rules(forwarding=forwarding))
    if not (KERNEL / "net/bridge").exists():
        run("modprobe", "br_netfilter")  # else answers of pods bypass the translation of service addresses
    noted = {name: _setting(name) for name in SYSCTLS}
    boot = BOOT_ID.read_text(encoding="ascii")
    record.write_text(json.dumps({"boot": boot, "settings": noted}), encoding="utf-8")
    run("ip", "link", "add", NODE_BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", NODE_BRIDGE)
    run("ip", "link", "set", NODE_BRIDGE, "up")
    for name in ("net/bridge/bridge-nf-call-iptables", "net/ipv4/ip_forward"):
        (KERNEL / name).write_text("1", encoding="ascii")


def down(record: Path) -> None:
    """Takes bridges, settings and rules back, the guard last; no effect where there are none."""
    if record.exists():
        _restore(json.loads(record.read_text(encoding="utf-8")))
    for bridge in BRIDGES:
        attempt("ip", "link", "delete", bridge)
    for table in (*PROXY_TABLES, f"inet {GUARD}"):
        attempt("nft", "delete", "table", *table.split())
    record.unlink(missing_ok=True)


def flows() -> set[Flow]:
    """What pods have tried to reach since the guard is up, by the address behind a service's."""
    listed = json.loads(run("nft", "--json", "list", "set", "inet", GUARD, FLOWS))
    (found,) = (each["set"] for each in listed["nftables"] if "set" in each)
    return {_flow(element) for element in found.get("elem", [])}


def machine_addresses() -> list[str]:
    """The machine's own addresses but those of the node and of loopback."""
    listed = json.loads(run("ip", "-json", "-4", "address"))
    others = [each for each in listed if each["ifname"] not in {"lo", *BRIDGES}]
    return [info["local"] for each in others for info in each["addr_info"]]


def plugin_configuration(state: Path) -> str:
    """What the network plugins read: a bridge with addresses for pods, and a route that the guard ends."""
    addresses = {
        "type": "host-local",
        "dataDir": str(state / "addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "hairpinMode": True}
    plugins = [bridge | {"ipMasq": False, "ipam": addresses}]
    return json.dumps({"cniVersion": "0.4.0", "name": POD_NETWORK, "plugins": plugins})


def run(*command: str, stdin: str | None = None) -> str:
    """Runs one of the machine's network programs. Raises SandboxError with what it said when it fails."""
    done = _call(command, stdin)
    if done.returncode:
        raise SandboxError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def attempt(*command: str) -> bool:
    """Runs one whose failure says only that there was nothing to do."""
    return _call(command, None).returncode == 0


def _call(command: tuple[str, ...], stdin: str | None) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=30, check=False, env=path
    )


def _flow(element: Any) -> Flow:
    parts = element.get("elem", {}).get("val", element) if isinstance(element, dict) else element
    source, target, protocol, port = parts["concat"]
    return Flow(str(source), str(target), str(protocol), int(port))


def _setting(name: str) -> str | None:
    file = KERNEL / name
    return file.read_text(encoding="ascii").strip() if file.exists() else None


def _restore(noted: dict[str, Any]) -> None:
    if noted["boot"] != BOOT_ID.read_text(encoding="ascii"):
        return  # the machine has been started anew since, with its own settings
    for name, value in noted["settings"].items():
        if value is not None and _setting(name) != value:
            (KERNEL / name).write_text(value, encoding="ascii")
