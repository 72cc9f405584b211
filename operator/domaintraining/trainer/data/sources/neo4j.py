"""Samples that a read query of Neo4j returns, a row each.

One server is asked, by the address that was checked: no routing, which could lead anywhere. The session is
one for reading, so the server itself refuses a query that writes.
"""

import json
import queue
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.api.sources import Neo4jSource
from domaintraining.dataguard import DataGuard, data_origin
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data.limits import MAX_LINES
from domaintraining.trainer.data.rows import DECODER, NOT_JSON, TOO_MANY_LINES
from domaintraining.trainer.data.sources.source import CONNECT_SECONDS, Content, Download, Means
from domaintraining.trainer.data.sources.unordered import Unordered

if TYPE_CHECKING:
    from neo4j import Driver

QUERY_SECONDS: Final = 300.0
"""How long the query may run; the server ends it then."""
GRACE_SECONDS: Final = 30.0
"""How much longer the server is waited for."""
REACH_SECONDS: Final = 60.0
"""How long it may take to reach the server and to be let in."""
FETCH_SIZE: Final = 200
MOST_WAITING: Final = 400
"""Rows that may wait to be written: the server sends no more meanwhile."""
LIST_COLUMNS: Final = ("entities", "relations")
COLUMNS: Final = ("text", *LIST_COLUMNS, "group")
REACHED: Final[dict[str, Any]] = {}
"""Told before the first row."""
PLACE: Final = re.compile(r"\(line (\d{1,5}), column (\d{1,5}) ")
"""Where in the query an error is. The server's other words may quote data, even those of a SyntaxError."""
KIND: Final = re.compile(r"[A-Za-z]{1,64}")
"""The last part of an error's code; what looks otherwise may be anything, also the password that was sent."""

_GAP: Final = r"(?:[\s\u180e]|(?>/\*.*?\*/)|//[^\r\n]*+)++"
_MAYBE: Final = rf"(?:{_GAP})?+"
FORBIDDEN: Final = {
    "LOAD CSV": rf"\bLOAD{_GAP}CSV\b",
    "TERMINATE TRANSACTIONS": rf"\bTERMINATE{_GAP}TRANSACTIONS?\b",
    "CALL dbms.kill…": rf"\bCALL{_MAYBE}`?dbms`?{_MAYBE}\.{_MAYBE}`?kill",
}
"""What a session for reading lets: other files and servers than this one, and the end of others' queries."""


def open_source(spec: Neo4jSource, means: Means) -> "Query":
    """The query that a spec holds."""
    return Query(spec, means)


class Query:
    """A query whose rows are samples."""

    def __init__(self, spec: Neo4jSource, means: Means) -> None:
        self._spec, self._means = spec, means

    def fetch(self, into: Download, known: str) -> Content | None:
        """As `Source.fetch`; the query is run in any case, since only its rows tell whether they changed."""
        self._check_query()
        rows = _Rows(self._means.title)
        lines = Unordered()
        for row in self._answered():
            line = rows.line(row)
            lines.add(line)
            into.write(line)
        version = f"sha256:{lines.sha256()}"
        return None if known == version else Content(version, "rows.jsonl", "jsonl", "row")

    def _check_query(self) -> None:
        """Refuse what a session for reading does not; and escapes, which the server alone can read."""
        query = self._spec.query
        if "\\u" in query:
            raise self._refused("it has an escape that begins with \\u; write the character itself")
        for what, pattern in FORBIDDEN.items():
            if re.search(pattern, query, re.IGNORECASE | re.DOTALL):
                raise self._refused(f"{what} is not for samples")

    def _refused(self, why: str) -> DomainTrainingError:
        message = f"{self._means.title}: the query is refused: {why}"
        return DomainTrainingError(Reason.DATASET_QUERY_INVALID, message)

    def _answered(self) -> Iterator[dict[str, Any]]:
        """The rows as they come.

        The driver waits for ever for a server that falls silent within an answer, so it has a thread of its
        own, which nobody waits for then.
        """
        secret = self._means.credentials.values(("username", "password"))
        told: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue(MOST_WAITING)
        asking = _Asking(self._spec, self._means, secret["username"], secret["password"], told)
        threading.Thread(target=asking.ask, daemon=True).start()
        patience = REACH_SECONDS
        try:
            while True:
                row = told.get(timeout=patience)
                if row is None:
                    return
                if isinstance(row, Exception):
                    raise row
                patience = QUERY_SECONDS + GRACE_SECONDS
                if row is not REACHED:
                    yield row
        except queue.Empty:
            raise self._means.unreachable(f"silent for {patience:.0f} s") from None
        finally:
            asking.left.set()


@dataclass
class _Asking:
    """The thread that asks, and tells that it was let in, the rows, and the end; until it is left."""

    spec: Neo4jSource
    means: Means
    user: str
    password: str = field(repr=False)
    told: "queue.Queue[dict[str, Any] | Exception | None]"

    def __post_init__(self) -> None:
        self.left = threading.Event()

    def ask(self) -> None:
        """Runs the query and tells its rows, then None; or the error."""
        end: Exception | None = None
        try:
            self._ask()
        except DomainTrainingError as error:
            end = error
        except Exception as error:  # noqa: BLE001 - whatever a hostile server makes the driver raise
            end = said(error, self.means)
        self._tell(end)

    def _ask(self) -> None:
        from neo4j import READ_ACCESS  # noqa: PLC0415 - the driver is loaded where a graph is asked
        from neo4j.exceptions import Neo4jError  # noqa: PLC0415 - as above

        last: Exception | None = None
        host, port = data_origin(self.spec.uri)
        guard = self.means.reach.guard
        assert isinstance(guard, DataGuard), "data servers are never asked without one"
        try:
            addresses = guard.addresses(host, port)
        except (OSError, UnicodeError):
            raise self.means.unreachable("its name has no address") from None
        for address in addresses:
            with self._driver(address, host, port) as driver:
                try:
                    driver.verify_connectivity()
                except Neo4jError:
                    raise  # it is a server, and says no
                except Exception as error:  # noqa: BLE001 - judged below, when no address is left
                    last = error
                    continue
                self._tell(REACHED)
                with (
                    driver.session(default_access_mode=READ_ACCESS, fetch_size=FETCH_SIZE) as session,
                    session.begin_transaction(timeout=QUERY_SECONDS) as transaction,
                ):
                    for record in transaction.run(self.spec.query):
                        if not self._tell(dict(zip(record.keys(), record.values(), strict=True))):
                            return
                return
        raise said(last, self.means)

    def _driver(self, address: str, host: str, port: int) -> "Driver":
        from neo4j import GraphDatabase  # noqa: PLC0415 - as above

        secured: dict[str, Any] = {"encrypted": False}
        if self.spec.uri.partition(":")[0].endswith("+s"):
            secured = {"ssl_context": _named(self.means.reach.tls(), host)}
        return GraphDatabase.driver(
            f"bolt://{f'[{address}]' if ':' in address else address}:{port}",
            auth=(self.user, self.password),
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=CONNECT_SECONDS * 2,
            max_connection_pool_size=1,
            max_transaction_retry_time=0,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
            **secured,
        )

    def _tell(self, row: dict[str, Any] | Exception | None) -> bool:
        """Hands a row on, or gives False once nobody wants it."""
        while not self.left.is_set():
            try:
                self.told.put(row, timeout=1.0)
            except queue.Full:
                continue
            return True
        return False


class _Rows:
    """Rows of a query as JSON lines."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._count = 0

    def line(self, row: dict[str, Any]) -> bytes:
        """One row.

        Raises:
            DomainTrainingError: its columns are not those of samples (DatasetQueryInvalid), or hold what
                samples don't, or it is one too many (DatasetInvalid); in words without a value.
        """
        self._count += 1
        if self._count > MAX_LINES:
            raise self._wrong(TOO_MANY_LINES)
        if "text" not in row or not any(name in row for name in LIST_COLUMNS):
            message = f"{self._title}: the query returns no columns text and entities or relations"
            raise DomainTrainingError(Reason.DATASET_QUERY_INVALID, message)
        sample = {name: self._value(name, value) for name, value in row.items() if value is not None}
        try:
            return json.dumps(sample, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError, RecursionError):
            raise self._wrong("holds a node, a time or another value that JSON has not") from None

    def _value(self, name: str, value: Any) -> Any:
        if name not in COLUMNS:
            return True  # counted as an unknown key, whatever it is
        if name in LIST_COLUMNS and isinstance(value, str):
            try:
                return DECODER.decode(value)
            except (ValueError, RecursionError):
                raise self._wrong(f"{name}: {NOT_JSON}") from None
        return value

    def _wrong(self, what: str) -> DomainTrainingError:
        return DomainTrainingError(Reason.DATASET_INVALID, f"{self._title}: row {self._count:,}: {what}")


def _named(context: ssl.SSLContext, host: str) -> ssl.SSLContext:
    """A context that checks certificates against a name, though the connection goes to an address."""
    wrap = context.wrap_socket

    def wrapped(sock: Any, **options: Any) -> ssl.SSLSocket:
        return wrap(sock, **{**options, "server_hostname": host})

    context.wrap_socket = wrapped  # type: ignore[method-assign, assignment]
    return context


def said(error: Exception | None, means: Means) -> DomainTrainingError:
    """What the driver's error means, without the server's words."""
    from neo4j.exceptions import Neo4jError  # noqa: PLC0415 - as above

    if not isinstance(error, Neo4jError):
        return means.unreachable(_lost(error))
    code = str(error.code or "")
    _, _, kind = code.rpartition(".")
    kind = kind if KIND.fullmatch(kind) else ""
    if ".Security." in code:
        told = f" ({kind})" if kind else ""
        return means.denied(f"refuses the user of Secret {means.credentials.name}{told}")
    if kind == "DatabaseNotFound":
        return DomainTrainingError(Reason.DATASET_NOT_FOUND, f"{means.title}: {kind}")
    refused = code.startswith("Neo.ClientError.") or kind == "TransactionStartFailed"  # CALL IN TRANSACTIONS
    if refused and kind != "DatabaseUnavailable":
        place = PLACE.search(error.message or "")
        words = kind or "an error"
        if place:
            words += f" in line {place[1]}, column {place[2]}"
        if kind == "AccessMode":
            words = "it writes, and samples are only read (AccessMode)"
        if kind.startswith("TransactionTimedOut"):
            words = f"it takes longer than {QUERY_SECONDS:.0f} s ({kind})"
        return DomainTrainingError(
            Reason.DATASET_QUERY_INVALID, f"{means.title}: the query is refused: {words}"
        )
    return means.unreachable(f"the server answers {kind or 'with an error'}")


def _lost(error: BaseException | None) -> str:
    """Why there is no answer, in few words; a certificate that is not trusted is told as such."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message}); see CA_BUNDLE"
        if isinstance(error, ssl.SSLError):
            return "no TLS with it"
        seen.append(error)
        error = error.__cause__ or error.__context__
    return f"no connection, or one that broke off ({type(seen[0]).__name__ if seen else 'no address'})"
