"""Models that are there, and pulls: their lines in order, shared, given up and gone on with."""

import asyncio
from typing import Any

import pytest

from tests.sandbox.simulated_ollama.models import Model, Shelf, full_name
from tests.unit.simulated_ollama.virtual import run

SMALL = Model("small:1b", size=600_000_000)


def shelf(scale: float = 1.0) -> Shelf:
    """Nothing there, one model to be had, at 100 MB a model second."""
    return Shelf((), (SMALL,), scale)


async def pulled(from_shelf: Shelf, name: str = "small:1b", share: float = 0.0) -> list[dict[str, Any]]:
    """All lines of a pull."""
    return [line async for line in from_shelf.pull(name, lambda: share)]


def test_a_pull_goes_from_manifest_to_success_layer_by_layer() -> None:
    """Ollama's lines in Ollama's order; completed never falls and ends at total."""
    one = shelf()
    lines = run(pulled(one))
    assert lines[0] == {"status": "pulling manifest"}
    assert [line["status"] for line in lines[-3:]] == [
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    layers = [line for line in lines if "digest" in line]
    assert list(dict.fromkeys(line["digest"] for line in layers)) == [digest for digest, _ in SMALL.layers]
    for digest, size in SMALL.layers:
        seen = [line.get("completed", 0) for line in layers if line["digest"] == digest]
        assert seen == sorted(seen)
        assert seen[-1] == size
        assert all(line["status"] == f"pulling {line['digest'][7:19]}" for line in layers)
    assert one.get("small:1b") == SMALL


def test_a_pull_takes_the_time_of_its_bytes() -> None:
    """600 MB at 100 MB a second; scaled as everything."""

    async def lasted(scale: float) -> float:
        await pulled(shelf(scale))
        return asyncio.get_running_loop().time()

    assert run(lasted(1.0)) == pytest.approx(6, abs=0.5)
    assert run(lasted(0.1)) == pytest.approx(0.6, abs=0.3)


def test_a_model_that_nobody_has_ends_the_pull_with_an_error_line() -> None:
    """In the words of a real registry's refusal."""
    lines = run(pulled(shelf(), "nobody/knows"))
    assert lines == [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]


def test_two_pulls_of_one_model_share_one_download() -> None:
    """Together they take no longer than one."""

    async def both() -> float:
        one = shelf()
        ends = await asyncio.gather(pulled(one), pulled(one))
        assert all(lines[-1] == {"status": "success"} for lines in ends)
        return asyncio.get_running_loop().time()

    assert run(both()) == pytest.approx(6, abs=0.5)


def test_a_pull_given_up_stops_and_the_next_goes_on_with_its_bytes() -> None:
    """Half, a long silence, then the other half only."""

    async def work() -> tuple[int, float]:
        one = shelf()
        first = asyncio.create_task(pulled(one))
        await asyncio.sleep(3)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(100)
        began = asyncio.get_running_loop().time()
        lines = await pulled(one)
        return lines[1].get("completed", 0), asyncio.get_running_loop().time() - began

    resumed, lasted = run(work())
    assert resumed == pytest.approx(300_000_000, rel=0.1)
    assert lasted == pytest.approx(3, abs=0.5)


def test_a_broken_pull_says_so_and_later_ones_get_through() -> None:
    """Each fetches its share; a few tries make a model."""

    async def work() -> list[dict[str, Any]]:
        one = shelf()
        return [(await pulled(one, share=0.4))[-1] for _ in range(3)]

    broken = {"error": "max retries exceeded: unexpected EOF"}
    assert run(work()) == [broken, broken, {"status": "success"}]


def test_a_pull_of_a_model_that_is_there_is_done_at_once() -> None:
    """Every layer is complete in its first line."""

    async def work() -> float:
        one = shelf()
        await pulled(one)
        began = asyncio.get_running_loop().time()
        await pulled(one)
        return asyncio.get_running_loop().time() - began

    assert run(work()) < 0.2


def test_a_removed_model_is_gone_and_can_be_pulled_again() -> None:
    """Nothing of it is lost for good."""
    one = Shelf((SMALL,), (), 1.0)
    assert one.remove("SMALL:1B")
    assert one.get("small:1b") is None
    assert not one.remove("small:1b")
    assert run(pulled(one))[-1] == {"status": "success"}


def test_names_without_tag_mean_latest_also_with_a_registrys_port() -> None:
    """As Ollama completes them."""
    assert full_name("a") == "a:latest"
    assert full_name("host:5000/a") == "host:5000/a:latest"
    assert full_name("host:5000/a:1") == "host:5000/a:1"
    assert Shelf((Model("a"),), (), 1).get("A") == Model("a:latest")


def test_a_model_says_that_it_is_simulated_and_has_its_own_digest() -> None:
    """Family and digest; the learner's version is part of it."""
    assert SMALL.details["family"] == "simulated"
    assert len(SMALL.digest) == 64
    assert SMALL.digest != Model("other:1b").digest


def test_a_model_is_written_in_one_word() -> None:
    """Capabilities and sizes behind the name; anything else is an error that says what is known."""
    assert Model.parsed("a:1,thinking,context=99,size=5") == Model(
        "a:1", ("completion", "tools", "thinking"), 99, 5
    )
    assert Model.parsed("a:1,lapses=0.5") == Model("a:1", lapses=0.5)
    assert Model.parsed("bge,embedding").capabilities == ("embedding",)
    with pytest.raises(ValueError, match="'fast' is none of"):
        Model.parsed("a,fast")
