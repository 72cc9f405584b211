"""Further models of a served revision: where a run compared some, its two prompts may be for two."""

from domaintraining.api.model import full_name
from domaintraining.api.spec import TASKS
from domaintraining.api.status import ModelStatus
from domaintraining.controller.allowed import named_endpoint
from domaintraining.controller.digests import Digests
from domaintraining.controller.observed import Resource, Revision
from domaintraining.controller.revisions import model_named
from domaintraining.controller.settings import Settings


async def further_models(
    resource: Resource, served: Revision | None, first: str, digests: Digests, settings: Settings
) -> list[ModelStatus]:
    """The further models that served prompts are for, each with server and digest.

    Args:
        resource: whose prompts they are.
        served: what is served.
        first: the model that needs no mention.
        digests: what servers say.
        settings: of the operator.

    Returns:
        Those that the spec names today and whose server says that it has them; no other is sent anything.
    """
    named = dict.fromkeys(model_named(served, task) for task in TASKS) if served is not None else {}
    found = []
    for name in named:
        further = name and full_name(name) != full_name(first)
        endpoint = named_endpoint(resource, settings, name) if further else None
        digest = await digests.of(endpoint, name) if endpoint is not None else ""
        if endpoint is not None and digest:
            found.append(ModelStatus(name=name, digest=digest, endpoint=endpoint, source="spec"))
    return found
