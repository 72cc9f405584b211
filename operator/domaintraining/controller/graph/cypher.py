"""Neo4j behind the seam. Imported only where one is configured: the driver takes 30 MB.

Each write is one transaction that reads the domain, takes its lock, and reads it again: what `judge` refuses
leaves no trace. See https://neo4j.com/docs/cypher-manual/5/ and https://neo4j.com/docs/python-manual/current/
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import neo4j
from neo4j.exceptions import AuthError, DriverError, Forbidden, Neo4jError

from domaintraining.api.reasons import Reason
from domaintraining.api.scalars import CONTROLS
from domaintraining.controller.graph.model import (
    GOING,
    MOST_LINES,
    UNTOLD,
    Domain,
    GraphDownError,
    Verdict,
    Wanted,
    judge,
    ownership,
    seed_of,
    seeded,
)
from domaintraining.controller.settings import GraphSettings
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import Reach

CONNECT_SECONDS: Final = 5.0
CALL_SECONDS: Final = 10.0
"""After which a call is given up, whatever it hangs at."""
CONSTRAINTS: Final = (
    "CREATE CONSTRAINT domain_name_unique IF NOT EXISTS FOR (d:Domain) REQUIRE d.name IS UNIQUE",
    "CREATE CONSTRAINT training_log_id_unique IF NOT EXISTS FOR (l:TrainingLog) REQUIRE l.id IS UNIQUE",
)
FIELDS: Final = """d.name AS name, d.description AS description, d.llm_model AS llm_model, d.owner AS owner,
d.owner_cluster AS cluster, d.owner_uid AS uid, d.owner_created AS created, d.deletion_policy AS policy,
d.status AS status, d.owner_rank AS rank, d.log_seed AS seed, d.written AS written"""
READ: Final = f"""
MATCH (d:Domain {{name: $name}})
RETURN {FIELDS}, all(key IN keys($properties) WHERE d[key] = $properties[key]) AS intact
LIMIT 2
"""
HELD: Final = """
UNWIND $logs AS log
MATCH (:Domain {name: $name})-[:HAS_TRAINING_LOG]->(l:TrainingLog {id: log.id})
WHERE all(key IN keys(log.properties) WHERE coalesce(l[key], '') = coalesce(log.properties[key], ''))
RETURN count(DISTINCT log.id) AS held
"""
OWNED: Final = f"""
MATCH (d:Domain {{owner_cluster: $cluster}})
RETURN {FIELDS}, true AS intact,
    EXISTS {{ MATCH (d)-[:HAS_TRAINING_LOG]->(l:TrainingLog) WHERE l.status IN $going }} AS going
ORDER BY d.name
"""
FAIL: Final = "SET l.status = 'failed', l.error_message = $untold, l.completed_at = datetime()"
LOCK: Final = """
MERGE (d:Domain {name: $name})
ON CREATE SET d += $created, d.created_at = datetime()
SET d.owner_lock = true
REMOVE d.owner_lock
"""
WRITE: Final = f"""
MATCH (d:Domain {{name: $name}})
SET d += $properties, d.updated_at = datetime()
WITH d
OPTIONAL MATCH (d)-[:HAS_TRAINING_LOG]->(l:TrainingLog)
    WHERE l.status IN $going AND NOT l.id IN [log IN $logs | log.id]
WITH d, collect(l) AS ends
FOREACH (l IN ends | {FAIL})
WITH d
UNWIND $logs AS log
MERGE (l:TrainingLog {{id: log.id}})
SET l += log.properties
SET l.log_messages = (coalesce(l.log_messages, [])
    + [line IN log.lines WHERE NOT line IN coalesce(l.log_messages, [])])[-$most..]
MERGE (d)-[:HAS_TRAINING_LOG]->(l)
"""
AS_READ: Final = """
MATCH (d:Domain {name: $name, owner: $owner, owner_cluster: $cluster, owner_uid: $uid, written: $written})
"""
REMOVE: Final = f"{AS_READ} OPTIONAL MATCH (d)-[:HAS_TRAINING_LOG]->(l:TrainingLog) DETACH DELETE l, d"
SETTLE: Final = f"""{AS_READ}
SET d.status = CASE WHEN d.trained_at IS NULL THEN 'failed' ELSE 'ready' END, d.updated_at = datetime(),
    d.written = ''
WITH d
MATCH (d)-[:HAS_TRAINING_LOG]->(l:TrainingLog) WHERE l.status IN $going
{FAIL}
"""
ENDS: Final[dict[str, Any]] = {"going": GOING, "untold": UNTOLD}
REFUSALS: Final = ("Neo.ClientError.Statement.", "Neo.ClientError.Schema.", "Neo.DatabaseError.Schema.")
FAULTS: Final = (Neo4jError, DriverError, OSError)
PASSING: Final = frozenset({"Neo.ClientError.Schema.ConstraintValidationFailed"})

logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # what it has to say stands in a condition


class Neo4jGraph:
    """A Neo4j server.

    Args:
        settings: where it is, and who writes.
        reach: authorities that are believed beside the system's.
    """

    def __init__(self, settings: GraphSettings, reach: Reach) -> None:
        uri, tls = _tls(settings.uri, reach)
        auth = neo4j.basic_auth(settings.user, settings.password) if settings.password else None
        trust: dict[str, Any] = {"ssl_context": tls} if tls else {}
        self._settings = settings
        self._driver: neo4j.AsyncDriver = neo4j.AsyncGraphDatabase.driver(
            uri,
            auth=auth,
            max_connection_pool_size=2,
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=CALL_SECONDS,
            liveness_check_timeout=30,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
            user_agent="domaintraining-controller",
            **trust,
        )

    async def read(self, name: str) -> Domain | None:
        """A domain; None where there is none."""
        async with self._transaction(neo4j.READ_ACCESS) as transaction:
            found = await _read(transaction, name, {})
            return found[0] if found else None

    async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
        """Write in one transaction, as far as `judge` lets it."""
        async with self._transaction(neo4j.WRITE_ACCESS) as transaction:
            found = await _state(transaction, wanted)
            verdict = judge(found, wanted, cluster, given=given)
            if verdict is not Verdict.WRITE:
                return verdict, found
            fresh = {**wanted.created, **ownership(wanted, cluster, ""), "owner_rank": 0, "written": ""}
            await _run(transaction, LOCK, name=wanted.domain, created=fresh)
            found = await _state(transaction, wanted)
            verdict = judge(found, wanted, cluster, given=given)
            if verdict is not Verdict.WRITE:
                return verdict, found
            seed = seed_of(found, wanted)
            properties = {**wanted.properties, **ownership(wanted, cluster, seed)}
            which = {"name": wanted.domain, "properties": properties, "logs": _logs(wanted, seed)}
            await _run(transaction, WRITE, **which, most=MOST_LINES, **ENDS)
            await transaction.commit()
            return verdict, found

    async def constrain(self) -> str:
        """Make names of domains and ids of logs unique; gives why that was refused, empty: it was not."""
        for statement in CONSTRAINTS:
            try:
                async with self._transaction(neo4j.WRITE_ACCESS) as transaction:
                    try:
                        await _run(transaction, statement)
                    except Forbidden as error:  # the user may lack this right alone
                        return explained(error, self._settings).message
                    await transaction.commit()
            except GraphDownError:
                raise
            except DomainTrainingError as error:
                return error.message
            except Exception as error:  # noqa: BLE001 - nothing of ours is in the statement
                raise explained(error, self._settings) from None
        return ""

    async def owned(self, cluster: str) -> list[Domain]:
        """All domains that a cluster owns."""
        async with self._transaction(neo4j.READ_ACCESS) as transaction:
            result = await transaction.run(OWNED, cluster=cluster, going=GOING)
            return [_domain(record.data()) async for record in result]

    async def leave(self, domain: Domain, *, remove: bool) -> None:
        """Remove a domain with its logs, or end its status; only as it was read."""
        which = {
            "name": domain.name,
            "owner": domain.owner,
            "cluster": domain.cluster,
            "uid": domain.uid,
            "written": domain.written,
        }
        async with self._transaction(neo4j.WRITE_ACCESS) as transaction:
            await _run(transaction, REMOVE if remove else SETTLE, **which, **ENDS)
            await transaction.commit()

    async def close(self) -> None:
        """Close all connections."""
        await self._driver.close()

    @asynccontextmanager
    async def _transaction(self, mode: str) -> AsyncIterator[neo4j.AsyncTransaction]:
        """A transaction that is rolled back unless it is committed; errors of the server become ours.

        Others stay as they are once it is open: a value that can't be sent is no fault of the server.
        """
        settings, is_open = self._settings, False
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._driver.session(database=settings.database or None, default_access_mode=mode) as session,
                await session.begin_transaction(timeout=CALL_SECONDS) as transaction,
            ):
                is_open = True
                yield transaction
                await transaction.close()  # the driver commits what is left open
        except Exception as error:  # the driver lets through what it trips over
            if is_open and not isinstance(error, FAULTS):
                raise
            raise explained(error, settings) from None


def explained(error: Exception, settings: GraphSettings) -> DomainTrainingError:
    """An error of the driver in words that hold neither the password nor what was to be written.

    Messages of the server may repeat a property's value: its code is told instead.
    """
    where = f"Neo4j at {settings.uri}"
    code = getattr(error, "code", None) or ""
    if isinstance(error, AuthError) or code.startswith("Neo.ClientError.Security."):
        return GraphDownError(Reason.GRAPH_REFUSED, f"{where} refuses user {settings.user} ({code})")
    if code.startswith(REFUSALS) and code not in PASSING:
        return DomainTrainingError(Reason.GRAPH_REFUSED, f"{where} refuses the request ({code})")
    if isinstance(error, TimeoutError):
        words = f"does not answer within {CALL_SECONDS:.0f} s"
    elif isinstance(error, Neo4jError):
        words = f"fails ({code})"
    elif not isinstance(error, FAULTS):
        words = f"does not answer as Neo4j does ({type(error).__name__})"
    else:
        words = f"does not answer ({_one_line(error, settings)})"
    return GraphDownError(Reason.GRAPH_UNAVAILABLE, f"{where} {words}")


def _one_line(error: Exception, settings: GraphSettings) -> str:
    words = " ".join(CONTROLS.sub(" ", str(error)[:2000]).split()) or type(error).__name__
    return (words.replace(settings.password, "***") if settings.password else words)[:200]


def _tls(uri: str, reach: Reach) -> tuple[str, ssl.SSLContext | None]:
    """The URI and how the server is checked: `+s` asks for authorities, to which the operator's are added."""
    scheme, _, rest = uri.partition("://")
    if not scheme.endswith("+s") or not reach.authorities:
        return uri, None
    return f"{scheme.removesuffix('+s')}://{rest}", reach.tls()


async def _read(
    transaction: neo4j.AsyncTransaction, name: str, properties: Mapping[str, Any]
) -> list[Domain]:
    """The domains of a name: more than one where names are not unique."""
    result = await transaction.run(READ, name=name, properties=dict(properties))
    return [_domain(record.data()) async for record in result]


async def _state(transaction: neo4j.AsyncTransaction, wanted: Wanted) -> Domain | None:
    """The domain, and whether it and its logs are as wanted; logs count where all was written already."""
    found = await _read(transaction, wanted.domain, wanted.properties)
    if len(found) > 1:
        words = f"the graph has several domains {found[0].name}; remove all but one"
        raise DomainTrainingError(Reason.DOMAIN_NOT_OWNED, words)
    if not found or found[0].written != wanted.digest:
        return found[0] if found else None
    logs = _logs(wanted, seed_of(found[0], wanted))
    result = await transaction.run(HELD, name=wanted.domain, logs=logs)
    held = [record["held"] async for record in result]
    return replace(found[0], intact=found[0].intact and held == [len(logs)])


def _logs(wanted: Wanted, seed: str) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "properties": dict(one.properties), "lines": list(one.lines)}
        for one in seeded(wanted.logs, seed)
    ]


async def _run(transaction: neo4j.AsyncTransaction, statement: Any, **parameters: Any) -> None:
    result = await transaction.run(statement, parameters)
    await result.consume()


def _domain(record: Mapping[str, Any]) -> Domain:
    """A record as values of the right kind: others may have written the node."""
    texts = {key: value for key, value in record.items() if isinstance(value, str)}
    rank = record.get("rank")
    return Domain(
        **texts,
        rank=rank if isinstance(rank, int) else 0,
        going=record.get("going") is True,
        intact=record.get("intact") is True,
    )
