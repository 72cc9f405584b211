"""What many that wait cost: calls to the API server, and writes of positions."""

from tests.unit.controller.crowd import Crowd, Gathering


def test_two_hundred_that_wait_ask_little_of_the_api_server(crowd_of: Gathering) -> None:
    """Linear in their number, and what a turn costs does not depend on it.

    Measured for 200: 8.3 calls for each that comes; 117 in a minute in which nothing happens; 127 when one
    training ends, the next starts and the first ten move up; 609 for a resync.
    """
    asked = {number: _calls(crowd_of(), number) for number in (100, 200)}
    for few, many in zip(asked[100], asked[200], strict=True):
        assert many <= 2.1 * few
    came, rest, turn, resync = asked[200]
    assert came <= 9 * 200
    assert rest <= 150
    assert resync <= 3.2 * 200
    assert turn <= min(150, 1.1 * asked[100][2])


def _calls(crowd: Crowd, number: int) -> list[int]:
    """Calls to the API server while so many come, in a quiet minute, for a turn, and for a resync."""
    calls = crowd.cluster.calls
    for place in range(number + 2):
        crowd.add("abcdefgh"[place % 8], f"t{place:03}")
    counted = []

    def turn() -> None:
        crowd.end(*crowd.cluster.active()[0])
        crowd.pass_time(4)

    for act in (crowd.settle, lambda: crowd.pass_time(60), turn, crowd.resync):
        calls.clear()
        act()
        crowd.settle()
        counted.append(calls.total())
        assert len(crowd.cluster.active()) == 2
    return counted


def test_positions_are_written_at_most_every_three_seconds(crowd_of: Gathering) -> None:
    """However many turns there are meanwhile; further back only once in half a resync."""
    crowd = crowd_of(40)
    crowd.pass_time(31)
    writes = len(crowd.cluster.writes)
    for _ in range(6):
        crowd.end(*crowd.cluster.active()[0])
        crowd.pass_time(1)
    made = crowd.cluster.writes[writes:]
    assert all(made.count(f"status DomainTraining a/t{place:03}") <= 2 for place in range(10, 14))
    assert not [entry for place in range(22, 40) if (entry := f"status DomainTraining a/t{place:03}") in made]
    crowd.pass_time(150)
    crowd.resync()
    crowd.settle()
    assert crowd.position("a", "t039") == "32 of 32"
