"""The kubelet's endpoint that `kubectl logs` reaches through the API server, over mutual TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from tests.sandbox.node.program import Program

FOLLOW_SECONDS = 0.2
BLOCK_BYTES = 64 * 1024
# Gives the container's program by namespace, pod and container, None when there is no such container.
Find = Callable[[str, str, str], Program | None]


def server_tls(certificates: Path) -> ssl.SSLContext:
    """TLS that accepts only clients with a certificate of the sandbox's CA: the API server has the one."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.crt"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(certificates / "node.crt", certificates / "node.key")
    return tls


async def serve_logs(certificates: Path, find: Find) -> tuple[web.AppRunner, int]:
    """Serves on a free loopback port; gives what to clean up, and the port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        program = find(*(request.match_info[name] for name in ("namespace", "pod", "container")))
        return await _answer(request, program)

    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls(certificates))
    await site.start()
    return runner, int(runner.addresses[0][1])


async def _answer(request: web.Request, program: Program | None) -> web.StreamResponse:
    if program is None:
        return web.Response(status=404, text="no such container on this node\n")
    query = request.query
    file = program.previous_log if query.get("previous") == "true" else program.log
    if not await asyncio.to_thread(file.exists):
        return web.Response(status=400, text=f'container "{program.name}" has no such log (yet)\n')
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await response.prepare(request)
    await _stream(file, response, query, lambda: program.process is not None)
    return response


async def _stream(
    file: Path, response: web.StreamResponse, query: Mapping[str, str], runs: Callable[[], bool]
) -> None:
    left = int(query["limitBytes"]) if "limitBytes" in query else None
    follow = query.get("follow") == "true"
    with file.open("rb") as log:
        if "tailLines" in query:
            log.seek(tail_position(log, int(query["tailLines"])))
        while left is None or left > 0:
            running = runs()  # asked before reading: what is written until the end is sent
            block = log.read(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
            if block:
                await response.write(block)
                left = None if left is None else left - len(block)
            elif not (follow and running):
                return
            else:
                await asyncio.sleep(FOLLOW_SECONDS)


def tail_position(log: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of a file begin; an unfinished last line counts as one."""
    end = log.seek(0, os.SEEK_END)
    position, kept = end, b""
    while position and kept.count(b"\n") <= lines:
        size = min(BLOCK_BYTES, position)
        position -= size
        log.seek(position)
        kept = log.read(size) + kept
    return end - len(b"".join(kept.splitlines(keepends=True)[-lines:])) if lines else end
