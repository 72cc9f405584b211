"""What a real node is made of and what becomes of the machine under it, as far as that needs no root."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.e2e.node import components, leftovers, network, pause_image, programs, requirements, sockets
from tests.sandbox import build

STATE = Path("/state")


def test_a_flag_is_replaced_left_out_or_added() -> None:
    command = ["program", "serve", "--a=1", "--b=2", "--ab=3"]
    changed = components.with_flags(command, {"--a": "x", "--b": None, "--c": "y"})
    assert changed == ["program", "serve", "--ab=3", "--a=x", "--c=y"]


def test_pods_get_no_way_out_and_the_machine_forwards_for_nobody_else() -> None:
    rules = network.guard_rules(forwarding=False).splitlines()
    pods = network.POD_BRIDGE
    ends = [line.strip() for line in rules if "admin-prohibited" in line or line.strip().endswith("drop")]
    assert ends == [
        f'iifname "{pods}" oifname != "{pods}" reject with icmpx type admin-prohibited',
        f'oifname "{pods}" iifname != "{pods}" drop',
        f'iifname != "{pods}" drop',
        "reject with icmpx type admin-prohibited",
    ]
    forwarding = [line.strip() for line in network.guard_rules(forwarding=True).splitlines()]
    assert f'iifname != "{pods}" drop' not in forwarding


def test_the_dns_of_the_node_asks_nobody_outside() -> None:
    text = components.corefile(STATE)
    assert "forward" not in text
    assert f"bind {network.NODE_ADDRESS}" in text


def test_the_kubelet_keeps_everything_in_the_state_folder() -> None:
    found = components.kubelet_configuration(STATE, STATE / "socket")
    paths = [found[key] for key in ("podLogsDir", "volumePluginDir", "tlsCertFile", "tlsPrivateKeyFile")]
    assert all(path.startswith("/state/") for path in paths)
    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["address"] == network.NODE_ADDRESS


@pytest.mark.parametrize(
    ("route", "clash"),
    [
        ({"dst": "default", "dev": "eth0"}, ""),
        ({"dst": "192.0.2.0/24", "dev": "eth0"}, ""),
        ({"dst": "10.244.0.0/24", "dev": network.POD_BRIDGE}, ""),
        ({"dst": "10.0.0.0/8", "dev": "tun0"}, "10.0.0.0/8 on tun0"),
        ({"dst": "10.200.0.1", "dev": "eth1"}, "10.200.0.1 on eth1"),
        ({"dst": "10.96.4.0/24", "dev": "eth1"}, "10.96.4.0/24 on eth1"),
    ],
)
def test_a_machine_whose_routes_would_be_hidden_gets_no_node(route: dict[str, str], clash: str) -> None:
    assert requirements.overlapping([route]) == clash


def test_what_is_mounted_is_unmounted_from_the_inside() -> None:
    table = """\
overlay /state/run/a overlay rw 0 0
tmpfs /state/run/a/deep\\040er tmpfs rw 0 0
tmpfs /stateful tmpfs rw 0 0
/dev/vda / ext4 rw 0 0
"""
    assert leftovers.mounts_below(STATE, table) == [STATE / "run/a/deep er", STATE / "run/a"]


def test_a_process_that_got_a_containers_number_is_left_alone(tmp_path: Path) -> None:
    """The note of a container that is long gone may name anybody's process, this one here."""
    bundle = tmp_path / "io.containerd.runtime.v2.task" / "k8s.io" / "a-container"
    bundle.mkdir(parents=True)
    bundle.joinpath("init.pid").write_text(str(os.getpid()), encoding="ascii")
    leftovers.kill_containers(tmp_path)


def test_of_the_network_plugins_notes_only_ours_are_deleted(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for name in ("ours-a1-eth0", "cni-loopback-a1-lo", "cni-loopback-b2-lo", "theirs-b2-eth0"):
        results.joinpath(name).touch()
    leftovers.forget_networks("ours", tmp_path)
    assert {each.name for each in results.iterdir()} == {"cni-loopback-b2-lo", "theirs-b2-eth0"}


def test_the_notes_folder_goes_where_nobody_else_uses_it(tmp_path: Path) -> None:
    results = tmp_path / "cni" / "results"
    results.mkdir(parents=True)
    results.joinpath("ours-a1-eth0").touch()
    leftovers.forget_networks("ours", tmp_path / "cni")
    assert list(tmp_path.iterdir()) == []


def test_the_pause_image_holds_one_program_and_is_always_the_same(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    first, second = (pause_image.write_image(program, tmp_path / name) for name in ("a.tar", "b.tar"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as image:
        manifest = json.load(_file(image, "manifest.json"))
        assert manifest[0]["RepoTags"] == [pause_image.NAME]
        with tarfile.open(fileobj=_file(image, "layer.tar")) as layer:
            (entry,) = layer.getmembers()
    assert (entry.name, entry.mode, entry.size) == ("pause", 0o755, 7)


def test_the_programs_are_built_from_their_own_sources() -> None:
    names = {
        program.name: set(build.read_sources(program.folder, program.package))
        for program in (programs.node(), programs.pause(), programs.coredns())
    }
    assert all(sources == {"main.go", "go.mod", "go.sum"} for sources in names.values())
    digests = {
        build.digest_of(program, build.read_sources(program.folder, program.package), "x86_64")
        for program in (programs.node(), programs.pause(), build.control_plane())
    }
    assert len(digests) == 3


def test_a_listening_port_is_told_from_connections() -> None:
    table = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:0016 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2
"""
    assert sockets.listening_ports(table) == {8080}


def _file(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    member = archive.extractfile(name)
    assert member
    return io.BytesIO(member.read())
