"""Which requests go through the proxy: what is in the cluster never, the rest as NO_PROXY says."""

import pytest

from domaintraining.proxy import Proxy, in_cluster

PROXY = "http://proxy.corp:3128"


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://ollama:11434", True),
        ("http://ollama.ollama:11434", True),
        ("http://OLLAMA.ollama.svc:11434", True),
        ("https://ollama.ollama.svc", True),
        ("https://ollama.ollama.svc.cluster.local:8443", True),
        ("http://localhost:11434", True),
        ("http://127.0.0.1:11434", True),
        ("http://[::1]:11434", True),
        ("https://gpu.example", False),
        ("https://models.gpu.example", False),
        ("http://models.gpu.example:11434", False),
        ("http://10.0.0.1:11434", False),
        ("http://[fd00::1]:11434", False),
        ("http://svc.gpu.example", False),
        ("https://svc.gpu.example", False),
        ("http://xsvc.evil.xsvc.example", False),
        ("http://ollama.team.svc.corp.internal:11434", True),
        ("https://0.ollama.team.svc.corp.internal", True),
        ("https://ollama.team.cluster.local", True),
    ],
)
def test_names_of_services_and_loopback_are_in_the_cluster(url: str, inside: bool) -> None:  # noqa: FBT001
    """Names of two parts are Services over http alone; addresses are outside, unless NO_PROXY names them."""
    assert in_cluster(url) is inside
    assert (Proxy(http=PROXY, https=PROXY).of(url) is None) is inside


@pytest.mark.parametrize(
    ("no", "url", "direct"),
    [
        ("", "http://models.gpu.example", False),
        ("*", "http://models.gpu.example", True),
        ("gpu.example", "http://models.gpu.example", True),
        (".gpu.example", "http://models.gpu.example", True),
        ("*.gpu.example", "http://models.gpu.example", True),
        ("other, GPU.example ,", "http://models.gpu.example:11434", True),
        ("gpu.example", "http://models.evilgpu.example", False),
        ("u.example", "http://models.gpu.example", False),
        ("models.gpu.example:11434", "http://models.gpu.example:11434", True),
        ("models.gpu.example:11434", "http://models.gpu.example", False),
        ("models.gpu.example:80", "http://models.gpu.example", True),
        ("models.gpu.example:443", "https://models.gpu.example", True),
        ("10.0.0.0/8", "http://10.1.2.3:11434", True),
        ("10.0.0.0/8", "http://11.1.2.3:11434", False),
        ("10.0.0.0/8", "http://models.gpu.example", False),
        ("10.1.2.3", "http://10.1.2.3:11434", True),
        ("10.1.2.3:80", "http://10.1.2.3:11434", False),
        ("2.3", "http://10.1.2.3:11434", False),
        ("fd00::/8", "http://[fd00::1]:11434", True),
        ("fd00::1", "http://[fd00:0::1]:11434", True),
        ("[fd00::1]:11434", "http://[fd00::1]:11434", True),
        ("[fd00::1]:1", "http://[fd00::1]:11434", False),
        ("10.0.0.0/99,:,//", "http://10.1.2.3:11434", False),
    ],
)
def test_no_proxy_names_what_is_asked_directly(no: str, url: str, direct: bool) -> None:  # noqa: FBT001
    """Names with all below them, addresses, networks; each name and address also with a port."""
    assert (Proxy(http=PROXY, https=PROXY, no=no).of(url) is None) is direct


def test_each_scheme_has_its_own_proxy() -> None:
    """One that is not set is none."""
    assert Proxy(http=PROXY).of("http://models.gpu.example") == PROXY
    assert Proxy(http=PROXY).of("https://models.gpu.example") is None
    assert Proxy(https=PROXY).of("https://models.gpu.example") == PROXY


def test_hosts_without_a_proxy_are_not_given_on() -> None:
    """NO_PROXY alone says nothing."""
    assert Proxy(no=".corp").environment == {}
    assert Proxy(http=PROXY).environment == {"HTTP_PROXY": PROXY}
    both = Proxy(https=PROXY, no=".corp").environment
    assert Proxy.read(both) == Proxy(https=PROXY, no=".corp")
