"""The models' digests as their servers tell them: asked once for all resources of a resync."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from domaintraining.api.model import full_name
from domaintraining.controller.models import ModelServers
from domaintraining.controller.settings.patterns import plain_url
from domaintraining.errors import DomainTrainingError

log = logging.getLogger(__name__)


class Digests:
    """One request for each server and model in a while, also where it fails; who asks meanwhile shares it.

    Args:
        servers: the model servers.
        seconds: how long an answer, or that there was none, holds.
        now: the clock.
    """

    def __init__(self, servers: ModelServers, seconds: float, now: Callable[[], datetime]) -> None:
        self._servers, self._now = servers, now
        self._holds = timedelta(seconds=seconds)
        self._asked: dict[tuple[str, str], tuple[datetime, asyncio.Future[str]]] = {}

    async def of(self, endpoint: str, model: str) -> str:
        """Digest of a model; empty where the server doesn't name it, or does not answer: that is no news."""
        key, now = (plain_url(endpoint), full_name(model)), self._now()
        asked = self._asked.get(key)
        if asked is None or not timedelta() <= now - asked[0] < self._holds:
            self._asked = {
                other: one for other, one in self._asked.items() if abs(now - one[0]) < 2 * self._holds
            }
            asked = self._asked[key] = now, asyncio.ensure_future(self._ask(endpoint, model))
        return await asyncio.shield(asked[1])

    async def _ask(self, endpoint: str, model: str) -> str:
        try:
            return await self._servers.digest(endpoint, model)
        except DomainTrainingError as error:
            log.info("the digest of %s is not known: %s", model, error.message)
            return ""
