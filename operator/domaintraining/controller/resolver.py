"""The resolver of requests to model servers: what it gives is what is connected to, each address checked."""

import socket

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from domaintraining.guard import Guard


class CheckedResolver(AbstractResolver):
    """Resolves as the system does and refuses what the guard refuses.

    Args:
        guard: says where a name may lead.
        inner: resolves; for tests.
    """

    def __init__(self, guard: Guard, inner: AbstractResolver | None = None) -> None:
        self._guard = guard
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            OSError: it has none.
            DomainTrainingError: one of them is refused (ModelNotAllowed).
        """
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._guard.check(host, port, one["host"])
        return found

    async def close(self) -> None:
        """Nothing of its own is open."""
        await self._inner.close()
