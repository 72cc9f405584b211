"""Who may start next: promises that hold for every crowd, tried on some hundred random ones."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from domaintraining.controller.admission import HEAD_START, RECENT, Admission, Running, Waiting, admit

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OLLAMA = "http://ollama.ollama:11434"
OTHER = "http://other:11434"
SEEDS = range(30)


def waiting(namespace: str, name: str, minutes: float, model: str = "qwen", also: str = "") -> Waiting:
    """One that came so many minutes after NOW; `also` is the model that it wants on the other server."""
    uses = {OLLAMA: model} | ({OTHER: also} if also else {})
    return Waiting((namespace, name), uses, NOW + timedelta(minutes=minutes))


def running(namespace: str, name: str, model: str = "qwen", server: str = OLLAMA) -> Running:
    """One that has a place."""
    return Running((namespace, name), {server: model})


def decided(crowd: list[Waiting], *busy: Running, limit: int = 2, minutes: float = 60) -> Admission:
    """The decision so many minutes after NOW."""
    return admit(crowd, busy, lambda _server: limit, NOW + timedelta(minutes=minutes))


def names(admission: Admission) -> list[str]:
    """Whose turn it is."""
    return [name for _, name in admission.start]


@dataclass
class Start:
    """One that started, with all that was so just before."""

    one: Waiting
    at: datetime
    others: list[Waiting]
    counts: Counter[tuple[str, str]]


@dataclass
class Crowd:
    """Trainings that come, wait, run and end, at random and without a clock."""

    seed: int
    limit: int
    servers: tuple[tuple[str, ...], ...] = ((OLLAMA,),)
    namespaces: str = "aaabc"
    starts: list[Start] = field(default_factory=list)
    most: Counter[str] = field(default_factory=Counter)
    idle: int = 0
    """How often a place was free that one who waits could have had."""

    def lived(self) -> "Crowd":
        """From the first to come until the last has ended."""
        chance, now = random.Random(self.seed), NOW
        coming = sorted(self._arrivals(chance), key=lambda one: one.since)
        left: list[Waiting] = []
        ends: list[tuple[datetime, Running]] = []
        past: list[tuple[datetime, Running]] = []
        while coming or left or ends:
            now = min([coming[0].since] if coming else [] + [end for end, _ in ends], default=now)
            now = min([now, *(end for end, _ in ends)])
            left += [one for one in coming if one.since <= now]
            coming = [one for one in coming if one.since > now]
            past += [one for one in ends if one[0] <= now]
            ended = [run for end, run in sorted(past, key=lambda one: one[0]) if now - end <= RECENT]
            ends = [one for one in ends if one[0] > now]
            for one in self._started(left, [run for _, run in ends], ended, now):
                ends.append((now + timedelta(minutes=chance.choice([1, 5, 30, 90])), one))
            assert ends or coming or not left, "nobody runs, and those who wait do not start"
        return self

    def _arrivals(self, chance: random.Random) -> Iterator[Waiting]:
        for number in range(40):
            uses = {server: chance.choice(["qwen", "llama"]) for server in chance.choice(self.servers)}
            came = NOW + timedelta(minutes=chance.randrange(240))
            yield Waiting((chance.choice(self.namespaces), f"t{number}"), uses, came)

    def _started(
        self, left: list[Waiting], busy: list[Running], ended: list[Running], now: datetime
    ) -> list[Running]:
        """Those that start now; they are taken from those that wait."""
        admission = admit(left, busy, lambda _server: self.limit, now, ended)
        new: list[Running] = []
        for key in admission.start:
            (one,) = (one for one in left if one.key == key)
            left.remove(one)
            counts = Counter((server, run.key[0]) for run in [*busy, *ended, *new] for server in run.uses)
            self.starts.append(Start(one, now, list(left), counts))
            new.append(Running(one.key, one.uses))
        total = Counter(server for run in [*busy, *new] for server in run.uses)
        self.most |= total
        self.idle += any(all(total[server] < self.limit for server in one.uses) for one in left)
        return new


TWO = ((OLLAMA,), (OLLAMA,), (OTHER,), (OLLAMA, OTHER), (OTHER, OLLAMA))


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_server_never_has_more_than_its_trainings_and_all_get_their_turn(limit: int) -> None:
    """Whatever comes, also what needs two servers at once."""
    for seed in SEEDS:
        crowd = Crowd(seed, limit, TWO).lived()
        assert max(crowd.most.values()) <= limit
        assert len(crowd.starts) == 40


def test_no_place_stays_free_while_somebody_waits_for_it() -> None:
    """Of those who want one server."""
    assert all(Crowd(seed, 2).lived().idle == 0 for seed in SEEDS)


def test_the_namespace_with_the_fewest_goes_first() -> None:
    """At every start, whoever came when; what has just ended counts as well."""
    for seed in SEEDS:
        for start in Crowd(seed, 3).lived().starts:
            own = start.counts[OLLAMA, start.one.key[0]]
            assert all(own <= start.counts[OLLAMA, other.key[0]] for other in start.others)


def test_nobody_starves() -> None:
    """What came more than HEAD_START later overtakes only one whose namespace has more on the server."""
    for seed in SEEDS:
        for start in Crowd(seed, 2).lived().starts:
            own = start.counts[OLLAMA, start.one.key[0]]
            for other in start.others:
                later = start.one.since > other.since + HEAD_START
                assert not later or own < start.counts[OLLAMA, other.key[0]]


def test_one_namespace_cannot_keep_another_waiting() -> None:
    """A hundred of one, then one of another: the next free place is its."""
    crowd = [waiting("many", f"t{number}", 0) for number in range(100)]
    late = waiting("one", "late", 30)
    assert names(decided([*crowd, late], running("many", "r1"))) == ["late"]
    place = decided([*crowd, late], running("many", "r1"), running("many", "r2")).places["one", "late"]
    assert (place.position, place.waiting) == (1, 101)


def test_namespaces_take_turns_on_a_server_for_one() -> None:
    """However long one of them has been waiting with how many."""
    left = [waiting("many", f"t{number:02}", 0) for number in range(20)]
    left += [waiting("few", f"t{number}", 30) for number in range(3)]
    order: list[str] = []
    ended: list[Running] = []
    while left:
        (key,) = admit(left, [], lambda _server: 1, NOW + timedelta(hours=1), ended[-1:]).start
        left = [one for one in left if one.key != key]
        ended.append(running(*key))
        order.append(key[0])
    assert order[:7] == ["many", "few", "many", "few", "many", "few", "many"]


def test_a_position_is_kept_when_the_place_of_another_namespace_becomes_free() -> None:
    """It was told 1; who ran until now does not overtake with the next one."""
    crowd = [waiting("b", "older", 0), waiting("c", "first", 1)]
    busy = [running("a", "r1"), running("b", "r2")]
    assert decided(crowd, *busy).places["c", "first"].position == 1
    freed = admit(crowd, busy[:1], lambda _server: 2, NOW + timedelta(hours=1), busy[1:])
    assert names(freed) == ["first"]


def test_runs_of_one_model_follow_each_other() -> None:
    """Twelve that come within HEAD_START, two models in turn: the server swaps once, not eleven times."""
    left = [waiting("a", f"t{number:02}", number / 2, ["qwen", "llama"][number % 2]) for number in range(12)]
    order, last = [], running("a", "before", "llama")
    while left:
        admission = admit(left, [], lambda _server: 1, NOW + timedelta(hours=1), [last])
        (one,) = (one for one in left if one.key == admission.start[0])
        left.remove(one)
        order.append(one.uses[OLLAMA])
        last = Running(one.key, one.uses)
    assert order == ["llama"] * 6 + ["qwen"] * 6


@pytest.mark.parametrize(("namespaces", "share"), [("a", 0.65), ("aaabc", 0.8)])
def test_random_crowds_swap_models_less_often_than_in_the_order_they_came(
    namespaces: str, share: float
) -> None:
    """Measured: 41 % less within a namespace, 25 % less between namespaces, which take turns first."""

    def swaps(models: list[str]) -> int:
        return sum(one != next_one for one, next_one in pairwise(models))

    grouped = came = 0
    for seed in SEEDS:
        starts = Crowd(seed, 1, namespaces=namespaces).lived().starts
        grouped += swaps([start.one.uses[OLLAMA] for start in starts])
        came += swaps([start.one.uses[OLLAMA] for start in sorted(starts, key=lambda start: start.one.since)])
    assert grouped < share * came


def test_a_model_is_no_reason_to_wait_for_more_than_the_head_start() -> None:
    """The loaded model goes first up to there, and not beyond."""
    old = waiting("a", "old", 0, "llama")
    for minutes, first in ((9.9, "new"), (10.1, "old")):
        crowd = [old, waiting("b", "new", minutes, "qwen")]
        assert names(decided(crowd, running("c", "r1", "qwen"))) == [first]


def test_what_needs_two_servers_waits_for_both() -> None:
    """Others pass it; after HEAD_START a free place is kept for it, until it has both."""
    both, single = waiting("a", "both", 0, also="small"), waiting("b", "single", 5)
    full = running("x", "r1", server=OTHER)
    assert names(decided([both, single], full, limit=1, minutes=9)) == ["single"]
    assert names(decided([both, single], full, limit=1, minutes=10)) == []
    assert decided([both, single], full, limit=1).places["a", "both"].server == OTHER
    assert names(decided([both, single], limit=1)) == ["both"]


def test_those_who_were_passed_over_go_behind_all_others() -> None:
    """Whatever their namespace has and whenever they came; among them, who was passed over first."""
    late = [
        replace(waiting("few", f"x{number}", 0), passed=NOW + timedelta(minutes=number)) for number in (2, 1)
    ]
    crowd = [*late, waiting("many", "y", 30), waiting("few", "z", 40)]
    busy = running("many", "r1")
    assert names(decided(crowd, busy, limit=5)) == ["z", "y", "x1", "x2"]
    assert names(decided(crowd, busy, running("many", "r2"))) == []
    assert decided(crowd, busy, limit=1).places["few", "z"].position == 1


def test_one_place_is_kept_for_what_needs_two_servers() -> None:
    """However many others start at the same time."""
    both = waiting("a", "both", 0, also="small")
    others = [waiting(f"n{number}", "one", 20) for number in range(9)]
    full = running("x", "r1", server=OTHER)
    admission = admit([both, *others], [full], {OLLAMA: 6, OTHER: 1}.__getitem__, NOW + timedelta(hours=1))
    assert len(admission.start) == 5


def test_two_that_need_each_others_servers_do_not_block_each_other() -> None:
    """The one that came first has both."""
    crossed = Waiting(("b", "crossed"), {OTHER: "qwen", OLLAMA: "qwen"}, NOW + timedelta(minutes=1))
    assert names(decided([waiting("a", "both", 0, also="small"), crossed], limit=1)) == ["both"]


def test_positions_are_those_of_the_next_turns() -> None:
    """One more place, and the first behind those whose turn it is has it; each position is there once."""
    for seed in SEEDS:
        chance = random.Random(seed)
        crowd = [
            waiting(chance.choice("aabc"), f"t{n}", chance.randrange(60), chance.choice(["qwen", "llama"]))
            for n in range(15)
        ]
        busy = [running(chance.choice("abc"), f"r{n}", chance.choice(["qwen", "llama"])) for n in range(2)]
        for limit in range(2, 8):
            now, then = decided(crowd, *busy, limit=limit), decided(crowd, *busy, limit=limit + 1)
            assert sorted(place.position for place in now.places.values()) == list(range(1, 16))
            assert then.start[:-1] == now.start
            assert now.places[then.start[-1]].position == limit - 1


def test_a_lowered_number_ends_nothing_and_starts_nothing() -> None:
    """Until fewer run; status tells both numbers."""
    busy = [running("a", f"r{number}") for number in range(4)]
    admission = decided([waiting("b", "t1", 0)], *busy, limit=2)
    words = f"1 of 1 waiting for {OLLAMA} (4 of 2 trainings run there)"
    assert (admission.start, admission.places["b", "t1"].words) == ((), words)
