"""The fake of the graph for tests: domains and logs in dicts."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domaintraining.controller.graph.model import (
    GOING,
    MOST_LINES,
    UNTOLD,
    Domain,
    Verdict,
    Wanted,
    judge,
    ownership,
    seed_of,
    seeded,
)
from domaintraining.errors import DomainTrainingError


class MemoryGraph:
    """A graph in memory: one transaction at a time, and nothing is lost but on purpose."""

    def __init__(self) -> None:
        self.domains: dict[str, dict[str, Any]] = {}
        """Properties of each domain by its name."""
        self.logs: dict[str, dict[str, Any]] = {}
        """Properties of each TrainingLog by its id, with `domain` beside them."""
        self.calls: list[str] = []
        """What was asked, as `read NAME`, `write NAME`, `owned`, `leave NAME`."""
        self.writes = 0
        """Transactions that changed something."""
        self.error: DomainTrainingError | None = None
        """What every call raises."""
        self.delay = 0.0
        """Seconds that every call takes."""

    async def read(self, name: str) -> Domain | None:
        """A domain; None where there is none."""
        await self._begin(f"read {name}")
        return self._found(name, {})

    async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
        """Write as far as `judge` lets it."""
        await self._begin(f"write {wanted.domain}")
        found = self._found(wanted.domain, wanted.properties)
        if found is not None and found.written == wanted.digest:
            found = replace(found, intact=found.intact and self._holds(wanted, seed_of(found, wanted)))
        verdict = judge(found, wanted, cluster, given=given)
        if verdict is Verdict.WRITE:
            self._write(wanted, cluster, seed_of(found, wanted))
            self.writes += 1
        return verdict, found

    async def constrain(self) -> str:
        """Names are unique here anyway."""
        await self._begin("constrain")
        return ""

    async def owned(self, cluster: str) -> list[Domain]:
        """All domains that a cluster owns."""
        await self._begin("owned")
        found = (self._owned(name) for name in sorted(self.domains))
        return [one for one in found if one is not None and one.owner and one.cluster == cluster]

    async def leave(self, domain: Domain, *, remove: bool) -> None:
        """Remove a domain, or end its status, where it is as it was read."""
        await self._begin(f"leave {domain.name}")
        if self._owned(domain.name) != domain:
            return
        self.writes += 1
        ours = [key for key, log in self.logs.items() if log["domain"] == domain.name]
        if remove:
            del self.domains[domain.name]
            for key in ours:
                del self.logs[key]
            return
        node = self.domains[domain.name]
        node |= {"status": "ready" if node.get("trained_at") else "failed", "written": ""}
        self._end(domain.name, set())

    async def close(self) -> None:
        """Nothing is open."""

    async def _begin(self, call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error

    def _owned(self, name: str) -> Domain | None:
        found = self._found(name, {})
        return replace(found, going=bool(self._going(name))) if found is not None else None

    def _going(self, name: str) -> list[str]:
        """Ids of the logs of a domain that say that their run goes."""
        return [key for key, log in self.logs.items() if log["domain"] == name and log["status"] in GOING]

    def _end(self, name: str, told: set[str]) -> None:
        for key in set(self._going(name)) - told:
            self.logs[key] |= {"status": "failed", "error_message": UNTOLD}

    def _found(self, name: str, properties: Mapping[str, Any]) -> Domain | None:
        node = self.domains.get(name)
        if node is None:
            return None
        return Domain(
            name=name,
            description=node.get("description", ""),
            llm_model=node.get("llm_model", ""),
            owner=node.get("owner", ""),
            cluster=node.get("owner_cluster", ""),
            uid=node.get("owner_uid", ""),
            created=node.get("owner_created", ""),
            policy=node.get("deletion_policy", ""),
            status=node.get("status", ""),
            rank=node.get("owner_rank", 0),
            seed=node.get("log_seed", ""),
            written=node.get("written", ""),
            intact=all(node.get(key) == value for key, value in properties.items()),
        )

    def _holds(self, wanted: Wanted, seed: str) -> bool:
        """Whether all logs are there and as wanted, but for their lines."""
        pairs = [(log, self.logs.get(log.id, {"domain": ""})) for log in seeded(wanted.logs, seed)]
        return all(
            kept["domain"] == wanted.domain
            and all(kept.get(key) == value for key, value in log.properties.items())
            for log, kept in pairs
        )

    def _write(self, wanted: Wanted, cluster: str, seed: str) -> None:
        node = self.domains.setdefault(wanted.domain, {"name": wanted.domain, **wanted.created})
        node |= wanted.properties
        node |= ownership(wanted, cluster, seed)
        logs = seeded(wanted.logs, seed)
        self._end(wanted.domain, {log.id for log in logs})
        for log in logs:
            kept = self.logs.setdefault(log.id, {"log_messages": []})
            kept |= {**log.properties, "domain": wanted.domain}
            said = kept["log_messages"] + [line for line in log.lines if line not in kept["log_messages"]]
            kept["log_messages"] = said[-MOST_LINES:]
