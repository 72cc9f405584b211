"""All calls of a run: each is answered once, kept in the journal, and sent when a slot is free for it.

Whoever asks waits for the answer; the look-ahead only says what will be asked. Equal calls wait for each
other: the first answer is everybody's, on which an exact resume depends.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import Budget, BudgetSpent
from domaintraining.trainer.calls.limited import Limited
from domaintraining.trainer.calls.probe import MOST
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import GivenUp, ModelServer
from domaintraining.trainer.calls.slots import Prompt, Slots, Wish
from domaintraining.trainer.journal.journal import Journal, call_key

ASKED: Final = Wish()
"""The wish of whoever waits for an answer."""

Then = Callable[[ChatAnswer], None]
"""Told an answer, before the slot takes another call; a failure of it costs time only."""


@dataclass(eq=False, slots=True)
class _Entry:
    key: str
    body: Mapping[str, Any]
    then: list[Then] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    answer: ChatAnswer | None = None
    asked: bool = False
    """Whether somebody waits for it: such a call is not dropped."""
    sent: bool = False


class Calls:
    """The calls to one server; used by many threads at once.

    Args:
        server: answers one call.
        journal: keeps the answers.
        slots: calls in flight at once, 1 to 64; a function is asked for them when there is a call to send.
        digests: digest of each model that is asked.
    """

    def __init__(
        self,
        server: ModelServer,
        journal: Journal,
        slots: int | Callable[[], int],
        digests: Mapping[str, str] | None = None,
    ) -> None:
        self._server, self._journal, self._digests = server, journal, digests or {}
        self.slots: Final = slots if isinstance(slots, int) else MOST
        """Calls in flight at most."""
        self._work = threading.Condition()
        self._slots = Slots(0)
        self._open: dict[str, _Entry] = {}
        self._failure: BaseException | None = None
        self._budget: Budget | None = None
        self.missteps = 0
        """Failures of whoever was told an answer."""
        if isinstance(slots, int):
            self._begin(slots)
        else:
            threading.Thread(target=self._measure, args=(slots,), name="slots", daemon=True).start()

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """The answer to a body of /api/chat.

        Args:
            body: what is sent.
            rollout: tells calls apart that are equal and yet want answers of their own.

        Raises:
            GivenUp: the run is being ended.
            DomainTrainingError: the answer cannot be kept.
        """
        return self._ask(body, rollout, None)

    def _ask(self, body: Mapping[str, Any], rollout: int | None, within: Limited | None) -> ChatAnswer:
        key = self._key(body, rollout)
        with self._work:
            if within is not None and not within.open:
                raise BudgetSpent
            entry = self._open.get(key)
            if entry is None:
                answer = self._journal.find(key)
                if answer is not None:
                    return answer
                self._check()
                entry = self._enter(key, body, ASKED)
            entry.asked = True
        entry.done.wait(within.budget.seconds_left if within is not None else None)
        if entry.answer is None:
            self._check()
            raise BudgetSpent
        return entry.answer

    def expect(
        self, body: Mapping[str, Any], wish: Wish, *, rollout: int | None = None, then: Then | None = None
    ) -> str:
        """Say that a call is going to be asked.

        Args:
            body: what will be sent.
            wish: when it should go.
            rollout: as in `chat`.
            then: told the answer, at once where there is one.

        Returns:
            The call's key.
        """
        key = self._key(body, rollout)
        with self._work:
            entry = self._open.get(key)
            answer = self._journal.find(key) if entry is None else None
            if entry is not None:
                if not entry.sent:
                    self._slots.add(key, _prompt(body), wish)
            elif answer is None and self._failure is None:
                entry = self._enter(key, body, wish)
            if entry is not None and then is not None:
                entry.then.append(then)
        if answer is not None and then is not None:
            self._tell(then, answer)
        return key

    def expect_all(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Say that these calls are going to be asked now, so that all slots know of them."""
        for body in bodies:
            self.expect(body, ASKED)

    def settle(self, keys: Iterable[str]) -> None:
        """Wait for those of the calls that are on their way, as far as the budget has time."""
        with self._work:
            entries = (self._open.get(key) for key in keys)
            sent = [entry for entry in entries if entry is not None and entry.sent]
            budget = self._budget
        for entry in sent:
            entry.done.wait(budget.seconds_left if budget is not None else None)

    def drop(self, key: str) -> None:
        """Say that a call is not wanted any more; one that was sent or that somebody waits for stays."""
        with self._work:
            entry = self._open.get(key)
            if entry is not None and not entry.sent and not entry.asked:
                self._slots.drop(key)
                del self._open[key]
                self._work.notify()

    @contextmanager
    def limited(self, budget: Budget) -> Iterator[Limited]:
        """The calls within a budget, for the time of the block; what still waits at its end is not sent."""
        limited = Limited(self._ask, budget)
        with self._work:
            self._budget = budget
        try:
            yield limited
        finally:
            with self._work:
                limited.open = False
                self._end_waiting()
                self._budget = None
                self._work.notify_all()

    def close(self) -> None:
        """Send nothing more; whoever still waits is told so."""
        self._fail(DomainTrainingError(Reason.TRAINER_FAILED, "the calls are closed"))

    def _key(self, body: Mapping[str, Any], rollout: int | None) -> str:
        return call_key(body, rollout, self._digests.get(body["model"], ""))

    def _enter(self, key: str, body: Mapping[str, Any], wish: Wish) -> _Entry:
        entry = self._open[key] = _Entry(key, body)
        self._slots.add(key, _prompt(body), wish)
        self._work.notify()
        return entry

    def _begin(self, slots: int) -> None:
        with self._work:
            self._slots.open(slots)
        for number in range(slots):
            threading.Thread(target=self._serve, name=f"slot-{number}", daemon=True).start()

    def _measure(self, slots: Callable[[], int]) -> None:
        """Begin with so many slots as there turn out to be, once a call has to be sent."""
        with self._work:
            while self._failure is None and not len(self._slots):
                self._work.wait()
            if self._failure is not None:
                return
        try:
            self._begin(slots())
        except BaseException as error:  # noqa: BLE001 - whoever waits must learn of it
            self._fail(error)

    def _serve(self) -> None:
        while (entry := self._next()) is not None:
            try:
                answer = self._journal.keep(entry.key, self._server.chat(entry.body))
            except BaseException as error:  # noqa: BLE001 - whoever waits must learn of it
                self._fail(error)
                return
            self._answered(entry, answer)

    def _next(self) -> _Entry | None:
        with self._work:
            while self._failure is None:
                entry = self._sendable()
                if entry is not None:
                    entry.sent = True
                    self._work.notify()  # with one call more in flight, another slot may have reason to help
                    return entry
                self._work.wait()
        return None

    def _sendable(self) -> _Entry | None:
        """The call to send now, if there is one and the budget has it."""
        if self._budget is not None and not self._budget.reserve():
            self._end_waiting()
            return None
        key = self._slots.take()
        if key is None and self._budget is not None:
            self._budget.release()
        return None if key is None else self._open[str(key)]

    def _end_waiting(self) -> None:
        for key, entry in list(self._open.items()):
            if not entry.sent:
                self._slots.drop(key)
                del self._open[key]
                entry.done.set()

    def _answered(self, entry: _Entry, answer: ChatAnswer) -> None:
        """Tell an answer: first whoever goes on from it, so that nobody asks what is going to be expected."""
        while True:
            with self._work:
                listeners, entry.then = entry.then, []
                if not listeners:
                    entry.answer = answer
                    entry.done.set()
                    del self._open[entry.key]
                    self._slots.free(entry.key)
                    self._work.notify()
                    return
            for then in listeners:
                self._tell(then, answer)

    def _tell(self, then: Then, answer: ChatAnswer) -> None:
        try:
            then(answer)
        except Exception:  # noqa: BLE001 - a wrong guess costs time only
            self.missteps += 1

    def _fail(self, error: BaseException) -> None:
        with self._work:
            self._failure = self._failure or error
            for entry in self._open.values():
                entry.done.set()
            self._work.notify_all()

    def _check(self) -> None:
        """Raise what ended the calls, anew for each that asks."""
        error = self._failure
        if isinstance(error, GivenUp):
            raise GivenUp(error.error)
        if isinstance(error, DomainTrainingError):
            raise DomainTrainingError(error.reason, error.message)
        if error is not None:
            what = f"{type(error).__name__} in the calls, which is an error of this program"
            raise DomainTrainingError(Reason.TRAINER_FAILED, what)


def _prompt(body: Mapping[str, Any]) -> Prompt:
    """What the server reads of a call; of texts to embed it keeps nothing."""
    return tuple(message["content"] for message in body.get("messages", ()))
