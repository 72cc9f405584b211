"""The roles of the package, each imported only when it is asked for: `python -m domaintraining ROLE …`."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Final

ROLES: Final = {
    "controller": ("domaintraining.controller.main", "watches DomainTrainings and runs trainers"),
    "trainer": ("domaintraining.trainer.main", "trains the prompts of one run"),
    "import": (
        "domaintraining.trainer.importing.main",
        "brings samples that AegisRAG exported into today's form",
    ),
    "crd": ("domaintraining.api.crd", "writes the CustomResourceDefinition"),
    "docs": ("domaintraining.api.docs", "writes the reference from the models"),
}
USAGE: Final = 2


def main(argv: list[str]) -> int:
    """Run a role with its own arguments; gives the exit code, 2 for an unknown role."""
    if not argv or argv[0] not in ROLES:
        roles = "\n".join(f"  {role:<11} {what}" for role, (_, what) in ROLES.items())
        print(f"usage: python -m domaintraining ROLE [ARGUMENT…]\n{roles}", file=sys.stderr)
        return USAGE
    module, _ = ROLES[argv[0]]
    part = module.split(".")[1]
    if not find_spec(f"domaintraining.{part}"):
        print(f"no {argv[0]} in this image: use the one that is built with --target {part}", file=sys.stderr)
        return USAGE
    code: int = import_module(module).main(argv[1:])
    return code


def leave(code: int) -> None:
    """End the process at once: a thread that waits for a slow model server must not hold it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
