"""`python -m tests.sandbox up|down|demo|story`: the product on this machine, without containers."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

from tests.sandbox.demo import demo
from tests.sandbox.environment import Sandbox, default_state, is_installed, path_of_kubectl
from tests.sandbox.errors import SandboxError
from tests.sandbox.story.play import play


def main() -> int:
    """Does what the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "demo", "story"))
    parser.add_argument("--state", type=Path, help="folder of the sandbox (the cache's; demo: a new one)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="of the story")
    parser.add_argument("--graph", action="store_true", help="with a real Neo4j (Java 17, Maven)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if given.action == "demo":
            return _demo(given.state, graph=given.graph)
        if given.action == "story":
            return _story(given.output)
        sandbox = Sandbox(given.state or default_state(), graph=given.graph)
        return _up(sandbox) if given.action == "up" else _down(sandbox)
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1


def say(line: str) -> None:
    """Prints one line at once."""
    print(line, flush=True)


def _up(sandbox: Sandbox) -> int:
    cluster = sandbox.cluster
    if cluster.running():
        say(f"a sandbox is running already in {cluster.state}; `make sandbox-down` stops it")
    else:
        sandbox.up(say)
    say("")
    if not is_installed("kubectl"):
        say("kubectl of this cluster's release, for a shell that has none:")
    else:
        say("kubectl is on PATH; this cluster's own release is used with:")
    say(f"  export PATH={path_of_kubectl(cluster)}:$PATH")
    say("A first training, in the namespace default:")
    say("  kubectl create configmap tech-docs --from-file=samples.jsonl=crds/samples/tech-docs.jsonl")
    say("  kubectl apply -f crds/samples/tech-docs.yaml && kubectl get dt -w")
    if sandbox.graph:
        access = sandbox.graph
        say(f"Neo4j: {access.uri}, user {access.user}, password {access.password}")
    say("The cluster's address and identity:")
    say(f"export KUBECONFIG={cluster.admin_kubeconfig}")
    return 0


def _down(sandbox: Sandbox) -> int:
    state = sandbox.cluster.state
    sandbox.down()
    say(f"nothing runs in {state}")
    return 0


def _demo(state: Path | None, *, graph: bool) -> int:
    if state:
        return demo(Sandbox(state, graph=graph), say)
    with tempfile.TemporaryDirectory(prefix="domaintraining-demo-", ignore_cleanup_errors=True) as folder:
        return demo(Sandbox(Path(folder) / "sandbox", graph=graph), say)


def _story(output: Literal["text", "json"]) -> int:
    with tempfile.TemporaryDirectory(prefix="domaintraining-story-", ignore_cleanup_errors=True) as folder:
        return play(Path(folder), output)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    """SIGTERM ends like Ctrl-C: everything is stopped on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
