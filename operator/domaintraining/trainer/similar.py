"""Similar domains in one run: read, ranked, tried on the validation part, and told of.

MIPROv2 runs as without them. Each prompt of the nearest domains is scored on the same validation samples, by
the same metric, through the same journal and budget; the best of MIPROv2's and these is the result, and where
two are as good MIPROv2's.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy

from domaintraining.api.similar import Considered, DataVector, Offer, Similar
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import wire
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import BudgetSpent
from domaintraining.trainer.calls.connect import Connection
from domaintraining.trainer.calls.limited import Limited
from domaintraining.trainer.data.augment import MOST as MOST_REWORDINGS
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.data.split import closed_types
from domaintraining.trainer.datavector import data_vector, embedded_texts
from domaintraining.trainer.prompts.export import digests, digests_that_fit, text_digest
from domaintraining.trainer.prompts.prompt import entity_lines, filled_messages
from domaintraining.trainer.scoring.comparison import Documents
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.offers import read_offers
from domaintraining.trainer.search.optimize import Means, Search, sample_metric
from domaintraining.trainer.search.program import Extraction
from domaintraining.trainer.search.similar import (
    SEEN_AT_MOST,
    Near,
    alike_text,
    candidate,
    evaluated,
    ranked,
)
from domaintraining.trainer.search.watch import ratio
from domaintraining.trainer.session import Session


@dataclass(frozen=True)
class _Candidate:
    near: Near
    program: Extraction


@dataclass
class _Outcome:
    """What came of the candidates on one model."""

    scores: dict[tuple[str, Task], float] = field(default_factory=dict)
    won: dict[Task, str | None] = field(default_factory=dict)


class SimilarDomains:
    """The similar domains of a run.

    Args:
        session: the attempt.
        material: the samples.
        folder: where their offers are mounted; None: nowhere.
    """

    def __init__(self, session: Session, material: Material, folder: Path | None) -> None:
        self._session, self._material, self._run = session, material, material.run
        self._offers = read_offers(folder, session.run.similar) if folder is not None else []
        self._near: list[Near] = []
        self._candidates: dict[Task, list[_Candidate]] = {}
        self._outcomes: dict[str, _Outcome] = {}
        self._held_out = {
            text_digest(one.text) for task in self._run.tasks for one in material.held_out(task)
        }
        self.vector: DataVector | None = None
        """Of this run's own texts; None: no model makes one."""
        self.notes: dict[str, str] = {}
        """What a person should know, by what it is about."""
        lost = len(session.run.similar) - len(self._offers)
        if lost:
            session.log.event("similar_lost", f"{lost} similar domains can't be read and are not tried")

    def meet(self, connect: Callable[[Session], AbstractContextManager[Connection]]) -> None:
        """Ask for the embeddings and choose; before any other call, so that the models don't take turns.

        Raises:
            DomainTrainingError: the journal can't be used.
            GivenUp: the run is being ended.
        """
        model, texts = self._run.data_model, embedded_texts(self._material.seen())
        if model is not None and texts:
            self.vector, self.notes["embeddings"] = data_vector(self._session, model, texts, connect)
        self.choose()

    def _types(self) -> dict[Task, frozenset[str]]:
        """The closed lists; a task that the run has not may have no labels, and then has none."""
        types = {}
        for task in TASKS:
            with suppress(DomainTrainingError):  # of the run's own tasks there is one: they have forms
                kinds = closed_types(self._material.parts, self._run.types, task)
                types[task] = frozenset(kind.name for kind in kinds)
        return types

    def choose(self) -> None:
        """Rank the domains and take, for each task, the nearest whose prompts may be tried."""
        run, parts = self._run, self._material.parts
        known = self._types()
        self._near = ranked(
            self._offers, {task: known.get(task, frozenset()) for task in run.tasks}, self.vector
        )
        fitting = self._fitting()
        apart = frozenset(alike_text(one.text) for part in (parts.validation, parts.test) for one in part)
        most = run.optimizer.bootstrapped_demos + run.optimizer.labeled_demos
        for task in run.tasks:
            chosen: list[_Candidate] = []
            shown: set[str] = set()
            for near in sorted(fitting, key=lambda one: (one.distance.get(task, 9.0), one.offer.name)):
                offered = near.offer.task(task)
                if task not in near.distance or offered is None or self._has_seen_too_much(near.offer):
                    continue
                program = candidate(offered, self._material.forms[task], known, apart, most)
                state = str(program.dump_state()) if program is not None else ""
                if program is not None and state not in shown:
                    shown.add(state)
                    chosen.append(_Candidate(near, program))
            self._candidates[task] = chosen[: run.optimizer.similar_domains]
        self._session.log.event(
            "similar_chosen",
            f"{len(self._near)} similar domains, compared by {'types and data' if self.vector else 'types'}",
            tried={
                task: [one.near.offer.name for one in chosen] for task, chosen in self._candidates.items()
            },
        )

    def _fitting(self) -> list[Near]:
        """The domains, nearest first, of which one may win for each task and the manifest still has room for
        the texts that they had seen, for those of all demos that are tried, and for rewordings.
        """
        run, material = self._run, self._material
        known = digests(material.seen())
        described = {**material.described(), "seen": known, "heldOut": sorted(self._held_out)}
        if self.vector is not None:
            described["dataVector"] = wire(self.vector)
        options = run.optimizer
        demos = (
            options.similar_domains * (options.bootstrapped_demos + options.labeled_demos) * len(run.tasks)
        )
        room = digests_that_fit(described) - demos - (MOST_REWORDINGS if run.data.augment else 0)
        fitting: list[Near] = []
        others: list[set[str]] = [set()]
        for near in self._near:
            own = set(near.offer.seen).difference(known)
            if all(len(own | other) <= room for other in others):
                fitting.append(near)
                others += [own] if len(run.tasks) > 1 else []
        if lost := len(self._near) - len(fitting):
            words = (
                f"{lost} similar domains are not tried: the manifest has no room for the texts they had seen"
            )
            self.notes["room"] = words
        return fitting

    def _seen_here(self, offer: Offer) -> set[str]:
        return self._held_out.intersection(offer.seen)

    def _has_seen_too_much(self, offer: Offer) -> bool:
        return len(self._seen_here(offer)) > SEEN_AT_MOST * len(self._held_out)

    @property
    def calls(self) -> int:
        """Calls that trying the candidates on one model takes."""
        return sum(
            len(chosen) * self._material.search(task).plan(self._run).validation
            for task, chosen in self._candidates.items()
        )

    def unseen(self, documents: Documents) -> Documents:
        """The documents without those that the training of a domain that is tried had seen."""
        tried = [one.near.offer for chosen in self._candidates.values() for one in chosen]
        seen = set().union(*(self._seen_here(offer) for offer in tried))
        left = Documents(
            {
                task: [one for one in samples if text_digest(one.text) not in seen]
                for task, samples in documents.of.items()
            }
        )
        tasks = self._run.tasks
        if lost := len(documents.texts(tasks)) - len(left.texts(tasks)):
            words = f"{lost} held-out labels are left out: similar domains were trained with their texts"
            self.notes["similar"] = words
        return left

    def best(
        self, found: Mapping[Task, Found], searches: Sequence[Search], means: Means, calls: Limited
    ) -> dict[Task, Found]:
        """What MIPROv2 found or, for a task, the prompt of a similar domain that is better.

        A budget that is spent ends it: only prompts that were scored on all samples count.

        Args:
            found: what MIPROv2 found.
            searches: what it learned from.
            means: what the searches worked with.
            calls: of the model, within the budget.
        """
        outcome = self._outcomes[means.setting.run.model.name] = _Outcome()
        best = dict(found)
        for search in searches:
            task = search.form.task
            if not self._candidates.get(task) or any(one.cut for one in best.values()):
                continue
            outcome.won[task] = None
            try:
                for one in self._candidates[task]:
                    score = self._score(one.program, search, means, calls)
                    outcome.scores[one.near.offer.name, task] = score
                    if score > best[task].validation_f1:
                        outcome.won[task] = one.near.offer.name
                        best[task] = replace(best[task], program=one.program, validation_f1=score)
            except BudgetSpent:
                best[task] = replace(best[task], cut=True)
        return best

    def _score(self, program: Extraction, search: Search, means: Means, calls: Limited) -> float:
        """Mean F1 by document on MIPROv2's own validation samples, rounded as DSPy rounds it."""
        run, samples = means.setting.run, evaluated(search, self._run)
        bodies = [_body(program, example, means) for example in samples]
        means.calls.expect_all(bodies)
        metric = sample_metric(search.form, run.metric.letters, run.optimizer.metric_threshold)
        scores = []
        for example, body in zip(samples, bodies, strict=True):
            answer = calls.chat(body)
            means.tally.measured("prompt_extraction")
            scores.append(metric(example, program.adapter.read(answer.content, answer.done_reason)))
        return ratio(round(100 * sum(scores) / len(scores), 2))

    def seen(self, model: str) -> list[str]:
        """Digests of what the result of a model had seen through similar domains: the texts of all demos that
        were tried, and for a domain whose prompt won all that its training had seen.
        """
        shown = [
            text_digest(demo["text"])
            for chosen in self._candidates.values()
            for one in chosen
            for predictor in one.program.predictors()
            for demo in predictor.demos
        ]
        won = set(self._outcomes.get(model, _Outcome()).won.values())
        return shown + [digest for one in self._near if one.offer.name in won for digest in one.offer.seen]

    def described(self, model: str) -> dict[str, Any]:
        """What a manifest says: of the data's vector, of the domains, and of who won on a model."""
        said: dict[str, Any] = {}
        if self.vector is not None:
            said["dataVector"] = wire(self.vector)
        if self._session.run.similar:
            outcome = self._outcomes.get(model, _Outcome())
            considered = [self._considered(near, outcome) for near in self._near]
            said["similar"] = Similar(considered=considered, won=outcome.won).model_dump(
                mode="json", by_alias=True, exclude={"considered"}
            ) | {"considered": [wire(one) for one in considered]}
        return said

    def _considered(self, near: Near, outcome: _Outcome) -> Considered:
        name = near.offer.name
        return Considered(
            name=name,
            revision=near.offer.revision,
            distance=near.distance,
            cosine=near.cosine,
            validation_f1={
                task: round(score, 3) for (own, task), score in outcome.scores.items() if own == name
            },
            held_out_seen=len(self._seen_here(near.offer)),
        )


def _body(program: Extraction, example: dspy.Example, means: Means) -> dict[str, Any]:
    """The call about one sample, as MIPROv2's own evaluation makes it."""
    engine, adapter = means.setting.engine, program.adapter
    (predictor,) = program.predictors()
    template = adapter.template(predictor.signature, predictor.demos)
    body = engine.body(adapter.request(engine.name, template, engine.temperature))
    lines = entity_lines(example.get("entities") or [])
    return {**body, "messages": filled_messages(body["messages"], example["text"], lines)}
