"""The controller's process: kopf's watches, the queue and the resync in one event loop."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import kopf

from domaintraining.api.names import MANAGER
from domaintraining.controller import handlers
from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import DOMAIN_TRAINING, Cluster, ClusterError
from domaintraining.controller.graph.start import open_graph
from domaintraining.controller.graph.sync import GraphSync
from domaintraining.controller.graph.told import sweep
from domaintraining.controller.kube import KubeCluster
from domaintraining.controller.models import HttpModelServers
from domaintraining.controller.network import Network
from domaintraining.controller.orphans import remove_orphans
from domaintraining.controller.probes import Health, serve
from domaintraining.controller.pulls import Pulls, http_lines
from domaintraining.controller.reconcile import Reconciler
from domaintraining.controller.settings import Settings, SettingsError
from domaintraining.controller.sources import SourceWatch
from domaintraining.controller.watches import Watches, register_login
from domaintraining.controller.workqueue import WorkQueue
from domaintraining.guard import Guard

log = logging.getLogger("domaintraining")


def main(argv: list[str]) -> int:
    """Run the controller until it is told to stop; gives the exit code, 2 for wrong settings."""
    if argv:
        sys.stderr.write("the controller takes its settings from the environment, no arguments\n")
        return 2
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return asyncio.run(run(settings))


async def run(settings: Settings) -> int:
    """Watch and reconcile until a signal comes or a watch dies; gives the exit code."""
    stop = asyncio.Event()
    obey_signals(stop)
    cluster = await KubeCluster.connect(os.environ)
    api_server = ApiServer(cluster, os.environ, settings.api_server_cidrs)
    guard = Guard(settings.named_origins, api_server.addresses)
    reach = replace(settings.reach, guard=guard)
    servers, pulls = HttpModelServers(reach), Pulls(partial(http_lines, reach=reach))
    network = Network(settings, api_server, guard)
    reconciler = Reconciler(cluster, servers, pulls, settings, network)
    queue = WorkQueue(reconciler.reconcile)
    reconciler.wake = queue.add
    graph = reconciler.graph = open_graph(settings, cluster, queue.add)
    clock = asyncio.get_running_loop().time
    watches = Watches(handlers.watched_paths(settings.namespaces), clock)
    health = Health(queue, watches, cluster.ping, settings.resync_seconds, clock)
    cluster.told = health.told
    register_login(kopf.get_default_registry(), watches, cluster.watch_session)
    follow = SourceWatch(reconciler.sources, cluster.watch_session, queue.add)
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(watch(queue, settings, stop), name="watch"),
        asyncio.create_task(follow.run(settings.namespaces), name="watch of samples"),
        asyncio.create_task(work(queue, api_server), name="queue"),
        asyncio.create_task(resync(cluster, queue, settings, health.resynced, graph), name="resync"),
        asyncio.create_task(serve(health, settings.health_port), name="probes"),
        asyncio.create_task(health.beat(), name="health"),
        asyncio.create_task(stop.wait(), name="stop"),
    ]
    if graph is not None:
        tasks.append(asyncio.create_task(graph.run(), name="graph"))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return _code(done)
    finally:
        stop.set()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if graph is not None:
            await graph.graph.close()
        await pulls.close()
        await servers.close()
        await cluster.close()


def obey_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set the event, whoever took them before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _code(done: set[asyncio.Task[Any]]) -> int:
    """0 after a signal; a task that ended by itself must not leave a controller that looks alive."""
    for task in done:
        error = task.exception()
        if error is not None:
            log.error("%s ended: %s: %s", task.get_name(), type(error).__name__, error)
            return 1
        if task.get_name() != "stop":
            log.error("%s ended", task.get_name())
            return 1
    return 0


async def work(queue: WorkQueue, api_server: ApiServer) -> None:
    """Work on the queue, once it was tried to learn the API server's addresses: no model server has them.

    An API server that is slow may take minutes for that, while the probes are to be answered.
    """
    await api_server.look()
    await queue.run()


async def watch(queue: WorkQueue, settings: Settings, stop: asyncio.Event) -> None:
    """Watch with kopf until told to stop; signals that it takes for itself at its start are taken back."""
    registry = kopf.get_default_registry()
    handlers.register(registry, queue.add)
    options = kopf.OperatorSettings()
    handlers.configure(options)
    ready = asyncio.Event()
    signals = asyncio.create_task(_obey_signals_once(ready, stop))
    try:
        await kopf.operator(
            registry=registry,
            settings=options,
            identity=MANAGER,  # type: ignore[arg-type] # it would ask for the user's name: the image's has none
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )
    finally:
        signals.cancel()


async def _obey_signals_once(ready: asyncio.Event, stop: asyncio.Event) -> None:
    await ready.wait()
    obey_signals(stop)


async def resync(
    cluster: Cluster,
    queue: WorkQueue,
    settings: Settings,
    ended: Callable[[], None] = lambda: None,
    graph: GraphSync | None = None,
) -> None:
    """Look now and then at every resource, and for what those that are gone left: what an event missed.

    Args:
        cluster: the API server.
        queue: gets the keys of all resources.
        settings: of the operator.
        ended: told after each round, also one that the API server refused.
        graph: where resources that are gone may have left domains; None: there is none.
    """
    while True:
        await asyncio.sleep(settings.resync_seconds)
        for namespace in settings.namespaces or (None,):
            try:
                found = await cluster.find(DOMAIN_TRAINING, namespace, {})
                known = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}
                for key in sorted(known):
                    queue.add(key)
                before = datetime.now(UTC) - timedelta(seconds=settings.resync_seconds)
                if graph is not None:
                    sweep(graph, cluster, namespace, found)
                await remove_orphans(cluster, namespace, known, before)
            except ClusterError as error:
                log.warning("resync: %s", error)
        ended()
