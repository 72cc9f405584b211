"""The HTTP side: Ollama's paths, bodies and errors, and three paths of our own under /simulated/."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from . import chat
from .bodies import NAME, Loaded, described, listed, reply, running, streamed, torn, waited
from .embed import shortened, vector_of
from .faults import FaultPlan, Faults
from .latency import Slots, Speed
from .models import Model, Shelf
from .request import FOREVER, ChatRequest, Refused, duration, model_name, parsed_body, texts_in
from .stats import Stats
from .text import count_tokens
from .turn import Turn

VERSION = "0.33.0-simulated"
BUSY = "server busy, please try again.  maximum pending requests exceeded"
LOG = logging.getLogger(__name__)
_LOAD_SECONDS = 3.0
_KEEP_ALIVE = 300.0
_LARGEST_BODY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Options:
    """How the server is set up.

    Args:
        models: those that are there.
        pullable: those that can be pulled.
        slots: how many calls it serves at once (OLLAMA_NUM_PARALLEL).
        time_scale: real seconds for a second of the latency model; 0: as fast as it can.
        context: tokens that fit a call where it doesn't say (OLLAMA_CONTEXT_LENGTH).
        max_queue: calls that may wait for a slot (OLLAMA_MAX_QUEUE); further ones are told that it is busy.
        faults: what goes wrong.
    """

    models: tuple[Model, ...]
    pullable: tuple[Model, ...] = ()
    slots: int = 4
    time_scale: float = 0.025
    context: int = 32_768
    max_queue: int = 512
    faults: Faults = field(default_factory=Faults)


class Server:
    """The simulated server's state and handlers; `app()` is what listens."""

    def __init__(self, options: Options, refuse: Callable[[float], None] | None = None) -> None:
        self.options = options
        self.slots = Slots(options.slots, Speed(scale=options.time_scale))
        self.shelf = Shelf(options.models, options.pullable, options.time_scale)
        self.plan = FaultPlan(options.faults)
        self.stats = Stats()
        self._refuse = refuse or (lambda _seconds: None)
        self._loaded: dict[str, Loaded] = {}
        self._loading = asyncio.Lock()

    def app(self) -> web.Application:
        """The application with all paths."""
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._outer])
        app.router.add_get("/", self._root)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps, allow_head=False)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/pull", self._pull)
        app.router.add_delete("/api/delete", self._delete)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/embed", self._embed)
        app.router.add_get("/simulated/stats", self._show_stats)
        app.router.add_post("/simulated/faults", self._set_faults)
        app.router.add_post("/simulated/build", self._rebuild)
        return app

    @web.middleware
    async def _outer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.stats.calls[request.path] += 1
        try:
            response = await handler(request)
        except Refused as refused:
            response = reply(refused.status, {"error": refused.message})
        except web.HTTPNotFound:
            response = web.Response(status=404, text="404 page not found")
        except web.HTTPMethodNotAllowed:
            response = web.Response(status=405, text="405 method not allowed")
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            LOG.exception("%s failed", request.path)
            response = reply(500, {"error": f"defect of the simulated server: {type(error).__name__}"})
        self.stats.statuses[response.status] += 1
        if not response.prepared:
            response.headers["Server"] = NAME
        return response

    async def _root(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ollama is running (simulated)")

    async def _version(self, _request: web.Request) -> web.Response:
        return reply(200, {"version": VERSION})

    async def _tags(self, _request: web.Request) -> web.Response:
        return reply(200, {"models": [listed(model, since) for model, since in self.shelf.all()]})

    async def _ps(self, _request: web.Request) -> web.Response:
        return reply(200, {"models": [running(one) for one in self._in_memory().values()]})

    async def _show(self, request: web.Request) -> web.Response:
        body = parsed_body(await request.read())
        name = model_name(body)
        if not name:
            raise Refused(400, "model is required")
        model = self._model(name)
        return reply(200, described(model, self.shelf.since(model)))

    async def _delete(self, request: web.Request) -> web.Response:
        name = model_name(parsed_body(await request.read()))
        self._model(name)
        self._remove(name)
        return web.Response(status=200)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        body = parsed_body(await request.read())
        name = model_name(body)
        if not name:
            raise Refused(400, "invalid model name")
        lines = self.shelf.pull(name, lambda: self.plan.faults.pull_break_rate)
        if body.get("stream") is False:
            return await waited(lines)
        return await streamed(request, lines)

    async def _embed(self, request: web.Request) -> web.Response:
        body = parsed_body(await request.read())
        texts = texts_in(body.get("input"))
        name = model_name(body)
        model = self._model(name)
        began = asyncio.get_running_loop().time()
        context = min(int((body.get("options") or {}).get("num_ctx") or model.context), model.context)
        if body.get("truncate") is False and any(count_tokens(text) > context for text in texts):
            raise Refused(400, "the input length exceeds the context length")
        load = await self._load(model, context, duration(body.get("keep_alive")))
        vectors = [shortened(vector_of(text, model.dimension), body.get("dimensions") or 0) for text in texts]
        tokens = sum(map(count_tokens, texts))
        await asyncio.sleep(self.options.time_scale * tokens / self.slots.speed.prefill)
        answer: dict[str, Any] = {"model": chat.shown_model(name), "embeddings": vectors}
        if texts:
            total = asyncio.get_running_loop().time() - began
            answer |= {
                "total_duration": chat.nanoseconds(total),
                "load_duration": chat.nanoseconds(load),
                "prompt_eval_count": tokens,
            }
        return reply(200, answer)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        began = asyncio.get_running_loop().time()
        body = parsed_body(await request.read())
        asked = ChatRequest.parsed(body)
        if not asked.model:
            raise Refused(400, "model is required")
        model = self._model(asked.model)
        context = min(asked.num_ctx or self.options.context, model.context)
        messages = chat.fitted(asked, model, context)
        if not messages:
            return await self._only_load(asked, model, context)
        digest = self.stats.count_prompt(body)
        fault = self.plan.next()
        if fault:
            self.stats.faults[fault] += 1
        if fault == "busy" or self.slots.use.waiting >= self.options.max_queue:
            raise Refused(503, BUSY)
        if fault == "slow":
            await asyncio.sleep(self.plan.faults.slow_seconds)
        load = await self._load(model, context, asked.keep_alive)
        sampled = replace(asked, temperature=1.0, seed=self.plan.seed()) if fault == "waver" else asked
        answer = chat.replied(sampled, messages, model, context)
        answer = chat.garbled(answer, digest) if fault == "garbage" else answer
        return await self._served(request, Turn(asked, messages, answer, digest, fault, began, load))

    async def _served(self, request: web.Request, turn: Turn) -> web.StreamResponse:
        async with self.slots.serve(turn.messages) as call:
            if turn.fault == "reset":
                await call.write(turn.reply.tokens // 2)
                return torn(request)
            if turn.asked.stream:
                response = await streamed(request, turn.lines(call))
            else:
                await call.write(turn.reply.tokens // 2 if turn.fault == "cut" else turn.reply.tokens)
                response = reply(200, turn.body(call.timing))
            self.stats.note(turn.digest, call.timing, call.written, turn.fault or turn.reply.done_reason)
            return response

    async def _only_load(self, asked: ChatRequest, model: Model, context: int) -> web.Response:
        if asked.keep_alive == 0:
            self._loaded.pop(model.name, None)
            return reply(200, chat.last(asked, "unload"))
        await self._load(model, context, asked.keep_alive)
        return reply(200, chat.last(asked, "load"))

    async def _load(self, model: Model, context: int, keep_alive: float | None) -> float:
        """Have a model in memory with this context; real seconds that its loading took."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._loading:
            there = self._in_memory().get(model.name)
            if there is None or there.context != context:
                await asyncio.sleep(_LOAD_SECONDS * self.options.time_scale)
                there = self._loaded[model.name] = Loaded(model, context, None)
        seconds = _KEEP_ALIVE if keep_alive is None else keep_alive
        there.expires = None if seconds == FOREVER else datetime.now(UTC) + timedelta(seconds=seconds)
        return clock() - began

    def _in_memory(self) -> dict[str, Loaded]:
        now = datetime.now(UTC)
        for name, one in list(self._loaded.items()):
            if one.expires is not None and one.expires <= now:
                del self._loaded[name]
        return self._loaded

    async def _show_stats(self, request: web.Request) -> web.Response:
        trace = request.query.get("trace", "") not in {"", "0", "false"}
        return reply(200, self.stats.as_json(self.slots.use, trace=trace))

    async def _set_faults(self, request: web.Request) -> web.Response:
        body = parsed_body(await request.read())
        try:
            faults = Faults.parsed(body)
        except (TypeError, ValueError) as error:
            raise Refused(400, str(error)) from error
        self.plan.set(faults)
        if faults.remove:
            self._remove(faults.remove)
        if faults.refuse_seconds:
            self._refuse(faults.refuse_seconds)
        return reply(200, {"simulated": True})

    async def _rebuild(self, request: web.Request) -> web.Response:
        """Another build of a model: `{"model": NAME, "build": TEXT, "lapses": 0 to 1}`."""
        body = parsed_body(await request.read())
        name, build, lapses = model_name(body), body.get("build"), body.get("lapses", 0.0)
        if not isinstance(build, str) or not isinstance(lapses, (int, float)) or not 0 <= lapses <= 1:
            raise Refused(400, "build has to be a text, and lapses a number from 0 to 1")
        self._model(name)
        self.shelf.rebuild(name, build, float(lapses))
        return reply(200, {"simulated": True})

    def _remove(self, name: str) -> None:
        model = self.shelf.get(name)
        if model is not None:
            self.shelf.remove(name)
            self._loaded.pop(model.name, None)

    def _model(self, name: str) -> Model:
        model = self.shelf.get(name) if name else None
        if model is None:
            raise Refused(404, f"model '{name}' not found")
        return model
