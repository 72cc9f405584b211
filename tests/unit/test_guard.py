"""Where a model server's name may lead: into the cluster and out of it, never to what is not for users."""

import socket
from collections.abc import Iterable

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard, look_up, origin_of, public_refusal, refusal

API_SERVER = ("10.96.0.1", "192.0.2.10", "2001:db8::10")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.3.7",
        "10.96.44.12",
        "172.16.9.1",
        "192.168.1.20",
        "100.64.3.3",
        "93.184.215.14",
        "8.8.8.8",
        "169.253.255.255",
        "169.255.0.1",
        "fd12:3456::7",
        "2606:4700::1111",
        "::ffff:10.0.3.7",
        "64:ff9b::808:808",
    ],
)
def test_addresses_that_model_servers_have(address: str) -> None:
    """Of pods, Services, machines nearby and the world."""
    assert refusal(address, API_SERVER) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("169.254.20.10", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::a9fe:a9fe%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("[::1]", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:7f00:1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::7f00:1", "loopback"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:0:a9fe:a9fe", "link-local"),
        ("::ffff:0:10.96.0.1", "API server"),
        ("fec0::1", "site-local"),
        ("feff::1", "site-local"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("100.100.100.200", "cloud"),
        ("168.63.129.16", "cloud"),
        ("192.0.0.192", "cloud"),
        ("fd00:ec2::254", "cloud"),
        ("10.96.0.1", "API server"),
        ("192.0.2.10", "API server"),
        ("2001:0db8:0:0::10", "API server"),
        ("::ffff:10.96.0.1", "API server"),
        ("64:ff9b::a60:1", "API server"),
        ("kubernetes", "no address"),
        ("", "no address"),
    ],
)
def test_addresses_that_no_model_server_has(address: str, why: str) -> None:
    """In whatever form they are written."""
    assert why in (refusal(address, API_SERVER) or "")


@pytest.mark.parametrize(
    "address",
    ["10.0.3.7", "fd12::7", "::ffff:10.0.3.7", "::ffff:0:10.0.3.7", "64:ff9b::a00:307", "fec0::1", "feff::1"],
)
def test_addresses_that_are_not_public(address: str) -> None:
    """An IPv6 address is none either where a private IPv4 one stands in it."""
    assert "private network" in (public_refusal(address) or "")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    """Of the world, also through NAT64."""
    assert public_refusal(address) is None


def leads(*addresses: str) -> Guard:
    """A guard for which all names lead to the same addresses, and which names one server."""

    def answer(_host: str, _port: int, /) -> Iterable[str]:
        return addresses

    return Guard(frozenset({("ollama.here", 11434)}), lambda: API_SERVER, answer)


@pytest.mark.parametrize("host", ["models.example", "ollama.team.svc.cluster.local", "127.0.0.1.nip.example"])
def test_a_name_is_as_good_as_the_worst_of_its_addresses(host: str) -> None:
    """It is refused with the name and the address, before anything is sent."""
    assert leads("93.184.215.14", "10.1.2.3").addresses(host, 80) == ["93.184.215.14", "10.1.2.3"]
    with pytest.raises(DomainTrainingError) as refused:
        leads("93.184.215.14", "169.254.169.254").addresses(host, 80)
    assert refused.value.reason is Reason.MODEL_NOT_ALLOWED
    assert refused.value.message.startswith(f"{host}:80 (169.254.169.254) is link-local")
    assert "MODEL_SERVERS" in refused.value.message


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://10.0.0.7:11434", True),
        ("http://[fd12::7]:11434", True),
        ("http://models.example", True),
        ("http://127.0.0.1:11434", False),
        ("http://[::1]", False),
        ("http://[::ffff:127.0.0.1]:80", False),
        ("http://169.254.169.254/latest", False),
        ("https://192.0.2.10:6443", False),
    ],
)
def test_a_url_with_an_address_is_checked_without_a_question(url: str, *, allowed: bool) -> None:
    """A name is not resolved here: that is done where the connection is made."""

    def nobody(host: str, _port: int, /) -> Iterable[str]:
        raise AssertionError(host)

    guard = Guard(api_server=lambda: API_SERVER, look_up=nobody)
    if allowed:
        guard.check_literal(url)
        return
    with pytest.raises(DomainTrainingError, match="MODEL_SERVERS"):
        guard.check_literal(url)


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0177.0.0.1", "10.1", "1.2.3.4.5", "999.1.1.1", "010.0.0.1."]
)
def test_an_address_in_an_unusual_spelling_is_refused(host: str) -> None:
    """Resolvers disagree on what it means, and clients refuse it as if no server were there."""
    with pytest.raises(DomainTrainingError, match="no address") as refused:
        Guard().check_literal(f"http://{host}:11434/x")
    assert refused.value.reason is Reason.MODEL_NOT_ALLOWED
    Guard(frozenset({(host.removesuffix("."), 11434)})).check_literal(f"http://{host}:11434")


@pytest.mark.parametrize("host", ["ollama.here", "OLLAMA.here."])
def test_what_the_owner_named_may_lead_anywhere(host: str) -> None:
    """That host at that port, in any spelling, and no other port of it."""
    assert leads("127.0.0.1").addresses(host, 11434) == ["127.0.0.1"]
    with pytest.raises(DomainTrainingError):
        leads("127.0.0.1").addresses(host, 22)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
def test_other_ways_to_write_loopback_are_read_as_the_system_reads_them(host: str) -> None:
    """The system's resolver takes them; what it makes of them is what is checked."""
    with pytest.raises(DomainTrainingError, match="loopback"):
        Guard().addresses(host, 80)


def test_origins_have_one_spelling() -> None:
    """Default ports, capitals, brackets, a dot at the end."""
    assert origin_of("HTTP://Ollama.Team.:80/x") == origin_of("http://ollama.team") == ("ollama.team", 80)
    assert origin_of("https://[FD00::1]") == ("fd00::1", 443)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_brackets_are_no_part_of_an_address(host: str) -> None:
    """Some clients leave them on."""
    guard = Guard(frozenset({("::1", 80)}))
    assert guard.addresses(host, 80) == ["::1"]


def test_the_system_gives_each_address_once() -> None:
    """Not once for each kind of socket."""
    assert look_up("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises(socket.gaierror):
        look_up("no such name", 80)
