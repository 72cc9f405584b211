"""The run: everything a trainer needs, resolved by the controller when the run starts."""

from typing import Annotated

from pydantic import Field, StringConstraints

from domaintraining.api.base import WireModel
from domaintraining.api.budget import Limits, Spent
from domaintraining.api.comparison import MOST
from domaintraining.api.scalars import Short
from domaintraining.api.similar import MOST_OFFERS, Offered
from domaintraining.api.sources import Leads, RemoteSources
from domaintraining.api.spec import (
    Augment,
    Auto,
    Instructions,
    Metric,
    ModelOptions,
    Optimizer,
    Split,
    Task,
    Types,
)
from domaintraining.api.status import ModelStatus

RUN_KEY = "run.json"
"""Key of the run ConfigMap and name of the mounted file."""


class RunData(WireModel):
    """Where the trainer finds the samples."""

    file: str
    """Path of the file in the mounted data folder; of a volume, below it. Empty: the data are on a server."""
    source: str
    """What to call it in messages: `configmap tech-docs, key samples.jsonl`, `claim samples, path a/b.jsonl`,
    or `spec.dataset.inline`."""
    claim: Short = ""
    """Claim of the volume that the file is in; empty: it is in no volume."""
    format: str = "auto"
    """auto, jsonl, json or csv."""
    remote: RemoteSources = RemoteSources()
    """The server that the trainer fetches them from; none: they are mounted."""
    leads: Leads = "public"
    """Where the name of that server may lead, as the operator's owner allows."""
    split: Split = Split()
    """Sizes of the parts."""
    augment: Augment | None = None
    """Rewordings of the train samples; None: none are made."""


class RunJournal(WireModel):
    """Where the model's answers are kept; the mounted folder is told by the variable JOURNAL_DIR."""

    kept: bool = False
    """Whether it outlives the pod."""
    claim: Short = ""
    """Claim of its volume; empty: there is none, and it lives as long as the pod."""


class Origin(WireModel):
    """Where the files of one task's prompt are kept."""

    revision: Annotated[int, Field(ge=1)]
    """Revision that keeps them."""
    baseline: bool = False
    """Whether they are its baseline's and not its own."""


class Check(WireModel):
    """What a check starts from: a trainer that looks whether the world has changed, and trains nothing."""

    data_digest: Short
    """Digest of the samples that the served prompts are known to do well on, as status.dataset has it."""
    data_version: Short = ""
    """What their source called them then: ETag, version; empty: it gives no name to its content."""
    model_changed: bool = False
    """Whether the server has another digest for the model than those prompts were measured with."""
    measure: bool = True
    """Whether the served prompts are measured where data or model changed; False: only the data are read."""


class Rival(WireModel):
    """A model that the run compares with its own."""

    model: ModelStatus
    """The model, its digest and its server."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """Calls in flight at once; None: nobody knows, and the trainer measures what the server serves."""


class Run(WireModel):
    """One run of one DomainTraining, or a check between two runs."""

    name: str
    """metadata.name of the resource."""
    namespace: str
    """Its namespace."""
    uid: str
    """Its uid."""
    domain: Annotated[str, StringConstraints(max_length=63)]
    """Domain trained for."""
    number: Annotated[int, Field(ge=1)]
    """Number of the run, which becomes the revision."""
    hash: str
    """Hash of what started it."""
    image: str
    """Image that the trainer runs from."""
    tasks: list[Task]
    """Tasks to train."""
    types: Types = Types()
    """Closed lists of types, where the spec gives them."""
    instructions: Instructions = Instructions()
    """Wording to start from, where the spec gives it."""
    data: RunData
    """Where the samples are."""
    model: ModelStatus
    """Model, its digest and its server."""
    options: ModelOptions = ModelOptions()
    """Options of task calls."""
    prompt_model: ModelStatus | None = None
    """Model that proposes instructions, its digest and its server; None: the model itself."""
    embedding_model: ModelStatus | None = None
    """Model that makes embeddings of names, on the model's server; None: names are compared by letters."""
    data_model: ModelStatus | None = None
    """Model that makes embeddings of samples, on the model's server; None: domains are compared by types."""
    similar: Annotated[list[Offered], Field(max_length=MOST_OFFERS)] = []
    """Similar domains whose prompts may be tried, mounted; none where the resource has a history."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """Calls in flight at once; None: nobody knows, and the trainer measures what the server serves."""
    prompt_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """The same for another server that proposes instructions."""
    compare_with: Annotated[list[Rival], Field(max_length=MOST)] = []
    """Models to compare with the model, in this order."""
    auto: Auto = "light"
    """Mode of the search; adaptive: the trainer chooses when it has read the samples."""
    optimizer: Optimizer = Optimizer()
    """Options of the search."""
    metric: Metric = Metric()
    """How answers are compared."""
    budget: Limits = Limits()
    """What the run may cost, over all attempts."""
    spent: Spent = Spent()
    """What it cost before this attempt; counts against the budget."""
    journal: RunJournal = RunJournal()
    """Where the model's answers are kept."""
    served: Annotated[int, Field(ge=1)] | None = None
    """Revision served when the run started, mounted for the comparison; None: there is none."""
    served_rejected: bool = False
    """Whether it was not accepted: a pin alone has put it there."""
    served_from: dict[Task, Origin] = {}
    """For each task where its served prompt is kept: a revision may serve one task's prompt of another."""
    named_servers: list[Short] = []
    """Those of its model servers that the operator's owner has named to the letter: they may be anywhere."""
    api_server: list[Short] = []
    """Addresses of the API server, which is no model server."""
    outage_seconds: Annotated[int, Field(ge=1)] = 600
    """How long the trainer waits for a model server that fails before the pod ends."""
    verbose: bool = False
    """Whether the log tells every step of MIPROv2."""
    check: Check | None = None
    """Set: nothing is trained, the served prompts are looked at again; `number` is that of their run."""


def run_for(run: Run, rival: Rival) -> Run:
    """The run as if it were for another of its models alone."""
    changes = {"model": rival.model, "max_concurrent_requests": rival.max_concurrent_requests}
    return run.model_copy(update=changes)


def unknown_servers(run: Run) -> int:
    """Servers of the searches of which nobody says how many calls they serve at once, 0 to 2."""
    other = run.prompt_model is not None and run.prompt_model.endpoint != run.model.endpoint
    return (run.max_concurrent_requests is None) + (other and run.prompt_requests is None)


def models_of(run: Run) -> list[ModelStatus]:
    """All models that a run chats with: the one it trains for first, then the proposing one, then rivals."""
    models = [run.model, run.prompt_model, *(one.model for one in run.compare_with)]
    return [model for model in models if model is not None]
