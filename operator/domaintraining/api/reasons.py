"""All reasons of conditions and of status.drift: one table, from which the docs are generated."""

from typing import Final

from domaintraining.api.datareasons import DATA_ROWS
from domaintraining.api.graphreasons import GRAPH_ROWS
from domaintraining.api.reason import Reason
from domaintraining.api.remedy import ReasonRow

__all__ = ["DATASET_REASONS", "REASONS", "Reason", "ReasonRow"]

REASONS: Final[dict[Reason, ReasonRow]] = {
    Reason.PENDING: ReasonRow(
        "The run is being prepared: data reference and model are checked.",
        "Wait; what keeps it from starting stands in the message.",
    ),
    Reason.QUEUED: ReasonRow(
        "It waits for a place on its model server, or for Kueue; or its Job exists and no pod of it runs "
        "yet.",
        "Wait; the message tells the position. Without one, `kubectl describe job` and `kubectl get events` "
        "say why.",
    ),
    Reason.TRAINING: ReasonRow("The trainer runs.", "Wait; the columns PROGRESS and ETA tell how far it is."),
    Reason.SUSPENDED: ReasonRow(
        "spec.suspend is true: the Job was stopped, the journal keeps what was answered, and what is served "
        "stays served.",
        "Set spec.suspend to false to go on with the same run.",
    ),
    Reason.PROMOTED: ReasonRow(
        "The run's prompt passed and is served.", "Use it: the ConfigMap `<name>-prompt` holds it."
    ),
    Reason.PINNED: ReasonRow(
        "spec.pinRevision names the revision that is served.",
        "Remove spec.pinRevision to serve the newest accepted one again.",
    ),
    Reason.REJECTED: ReasonRow(
        "No task's prompt passed spec.acceptance; the run is kept and not served.",
        "Label more samples, or change the search or spec.acceptance: a changed acceptance is applied to "
        "this run without another.",
        stalled=True,
    ),
    Reason.FAILED: ReasonRow(
        "The run stands still without a result.", "See the reason of Stalled.", stalled=True
    ),
    Reason.SUPERSEDED: ReasonRow(
        "The spec changed while the run was going; its Job was stopped.",
        "Nothing: the run of the new spec follows by itself.",
    ),
    Reason.DATASET_VALID: ReasonRow(
        "The reference exists, or the trainer has read all samples.",
        "Nothing; status.dataset.warnings has what is worth a look.",
    ),
    Reason.DATASET_NOT_FOUND: ReasonRow(
        "The ConfigMap, its key, the claim, or the file in the volume or on the server does not exist.",
        "Create it, or correct spec.dataset; the run starts by itself then.",
        stalled=True,
    ),
    Reason.DATASET_INVALID: ReasonRow(
        "Samples are not valid; the message names the first lines.",
        "Correct the lines; the run goes on by itself when the data change.",
        stalled=True,
    ),
    Reason.TOO_FEW_SAMPLES: ReasonRow(
        "A task has fewer than 6 labelled samples, or a part of the split would be empty.",
        "Label more samples for the task, or leave it out of spec.tasks.",
        stalled=True,
    ),
    Reason.INVALID_DOMAIN: ReasonRow(
        "The resource's name gives no valid domain.", "Set spec.domain.", stalled=True
    ),
    Reason.MODEL_READY: ReasonRow("The server has the model.", "Nothing."),
    Reason.MODEL_NOT_ALLOWED: ReasonRow(
        "The operator's lists don't allow this endpoint, this pull or this registry host, or the server's "
        "name leads to an address that no model server has.",
        "Use an allowed one, or ask the operator's owner to extend the setting that the message names; the "
        "run starts by itself then.",
        stalled=True,
    ),
    Reason.MODEL_NOT_FOUND: ReasonRow(
        "The server does not have the model and it is not to be pulled, or no registry has it.",
        "Correct spec.model.name, pull it by hand, or set pullPolicy to IfNotPresent.",
        stalled=True,
    ),
    Reason.MODEL_PULLING: ReasonRow(
        "The server is pulling the model.", "Wait; the message tells the percentage.", passes=True
    ),
    Reason.MODEL_PULL_FAILED: ReasonRow(
        "The pull broke off.", "Look at the server's disk and network; it is tried again.", passes=True
    ),
    Reason.MODEL_UNSUITABLE: ReasonRow(
        "The model cannot do what the spec asks (chat, or thinking).",
        "Choose a model with the capability `completion`, or set model.options.think to Disabled.",
        stalled=True,
    ),
    Reason.MODEL_SERVER_UNAVAILABLE: ReasonRow(
        "The model server does not answer, or answers with errors.",
        "Look at the server; it is tried again by itself and no score is taken meanwhile.",
        passes=True,
    ),
    Reason.TRAINED: ReasonRow(
        "A run of this spec ended with a result.", "Look at status.metrics; Promoted says what is served."
    ),
    Reason.REUSED: ReasonRow(
        "Another resource of the namespace had made the same run: same spec, samples and model digests. Its "
        "result was taken over without a call, and judged by this resource's acceptance.",
        "Nothing; the annotation `training.aegisrag.io/retrain-requested-at` makes a run of its own.",
    ),
    Reason.OUT_OF_MEMORY: ReasonRow(
        "The trainer was killed because it used more memory than its limit.",
        "Raise spec.job.resources.limits.memory.",
        stalled=True,
    ),
    Reason.IMAGE_PULL_FAILED: ReasonRow(
        "The trainer's image cannot be pulled.",
        "Check the operator's TRAINER_IMAGE, the node's access to its registry, and the Secrets of "
        "spec.job.imagePullSecrets and IMAGE_PULL_SECRETS.",
        passes=True,
    ),
    Reason.UNSCHEDULABLE: ReasonRow(
        "No node takes the trainer's pod.",
        "Check spec.job resources, nodeSelector and tolerations against the nodes, and that the claims of "
        "data and journal are bound; a changed spec.job is taken up at once.",
        passes=True,
    ),
    Reason.QUOTA_EXCEEDED: ReasonRow(
        "The namespace's quota does not allow the Job or its pod.",
        "Raise the quota or lower spec.job.resources; it is tried again.",
        passes=True,
    ),
    Reason.ADMISSION_DENIED: ReasonRow(
        "A policy of the cluster refuses the Job or its pod.",
        "Read the policy's message; change spec.job or the policy.",
        stalled=True,
    ),
    Reason.PLACEMENT_NOT_ALLOWED: ReasonRow(
        "The operator's lists don't allow this priority class, node selector or toleration.",
        "Use an allowed one, or ask the operator's owner to extend the setting that the message names; the "
        "run starts by itself then.",
        stalled=True,
    ),
    Reason.SERVICE_ACCOUNT_NOT_FOUND: ReasonRow(
        "The ServiceAccount that spec.job.serviceAccountName names does not exist.",
        "Create it, or correct spec.job.serviceAccountName; the run goes on by itself then.",
        stalled=True,
    ),
    Reason.NAME_CONFLICT: ReasonRow(
        "An object of the run's name exists and belongs to somebody else.",
        "Remove or rename that object, or give the resource another name.",
        stalled=True,
    ),
    Reason.POD_LOST: ReasonRow(
        "The trainer's pod was evicted, preempted or lost with its node.", "It is tried again.", passes=True
    ),
    Reason.JOURNAL_NOT_FOUND: ReasonRow(
        "The claim that spec.job.journal names does not exist.",
        "Create it, or correct spec.job.journal.claimName; the run goes on by itself then.",
        stalled=True,
    ),
    Reason.JOURNAL_BUSY: ReasonRow(
        "Another trainer holds the journal, or its claim is being deleted.",
        "Wait for the other one to end, or give each resource a claim of its own; it is tried again.",
        passes=True,
    ),
    Reason.JOURNAL_UNUSABLE: ReasonRow(
        "The journal's volume can't be written: it is full, read-only, or broken.",
        "Enlarge the claim, or name another in spec.job.journal; answers in the old one stay there.",
        stalled=True,
    ),
    Reason.BUDGET_EXHAUSTED: ReasonRow(
        "The budget was spent before the search was over; the best so far was evaluated and kept, where "
        "there was one.",
        "Raise spec.budget: a run with a result is followed by one with the next number that finds all "
        "answers in the journal, one without a result goes on itself.",
        stalled=True,
    ),
    Reason.TRAINER_FAILED: ReasonRow(
        "The trainer ended with an error of its own.",
        "Read the Job's log; report it if it is not your data's fault.",
        stalled=True,
    ),
    Reason.MODEL_OUTPUT_INVALID: ReasonRow(
        "The model gives no readable answers.",
        "Try the request.json of the baseline by hand; raise maxTokens, or choose another model, promptModel "
        "or optimizer.seed: the same question gets the same answer.",
        stalled=True,
    ),
    Reason.PROMPT_TOO_LONG: ReasonRow(
        "A prompt does not fit into the model's context window.",
        "Set model.options.numCtx, shorten the texts, or lower the number of demos.",
        stalled=True,
    ),
    Reason.RESULT_TOO_LARGE: ReasonRow(
        "The prompt is larger than a ConfigMap can hold.",
        "Shorten the texts or lower the number of demos.",
        stalled=True,
    ),
    Reason.RESULT_INVALID: ReasonRow(
        "The report of the trainer is not valid and was not taken over.",
        "Check that TRAINER_IMAGE and the operator have the same version.",
        stalled=True,
    ),
    Reason.UNCHANGED: ReasonRow(
        "The samples, or the model, are what they were when the prompt was measured.", "Nothing."
    ),
    Reason.CHECKING: ReasonRow(
        "Data or model changed, and the served prompt is measured with them, or waits for a place to be.",
        "Wait; `kubectl get jobs` shows the Job `<name>-check-<number>`.",
    ),
    Reason.NO_LOSS: ReasonRow(
        "The served prompt does with the changed data or model what it did: no task's F1 is below the low "
        "end of its published interval.",
        "Nothing; the annotation training.aegisrag.io/retrain-requested-at starts a run all the same.",
    ),
    Reason.LOSS: ReasonRow(
        "With the changed data or model a task's F1 is below the low end of its published interval.",
        "Wait: a run starts by itself, and what is served stays served until it ends.",
    ),
    Reason.CHANGED: ReasonRow(
        "Data or model changed, and spec.retrain asks for a run without measuring.",
        "Wait: a run starts by itself.",
    ),
    Reason.NOT_MEASURED: ReasonRow(
        "Data or model changed, and nothing was there to measure the served prompt on or to compare it with.",
        "Start a run by hand: annotation training.aegisrag.io/retrain-requested-at. For the next time "
        "label at least 10 documents for the test part (see spec.dataset.split), or set spec.retrain to "
        "Always.",
    ),
    Reason.CHECK_FAILED: ReasonRow(
        "The Job that looks at the data or measures the served prompt failed; what is served stays served.",
        "Read the message; it is tried again, and at once when the data change.",
    ),
    Reason.NOT_ACCEPTED: ReasonRow(
        "No promoted prompt of this spec.", "Wait for its run, or see the reasons of Ready and Stalled."
    ),
    Reason.NO_PROMPT: ReasonRow(
        "No prompt was promoted yet.", "Wait for the first run, or see the reasons of Ready and Stalled."
    ),
    Reason.NO_HELD_OUT_DATA: ReasonRow(
        "spec.acceptance asks for a number, and no held-out documents are there to measure it.",
        "Label at least 10 documents for the test part (see spec.dataset.split), or set acceptance.require "
        "to NotWorse or Any without minF1 and minImprovement.",
        stalled=True,
    ),
    Reason.REVISION_NOT_FOUND: ReasonRow(
        "The revision that spec.pinRevision names, or that of this spec, is not kept, or not whole; what was "
        "served stays served.",
        "Name one that `kubectl get configmaps -l training.aegisrag.io/name=<name>` lists, restore it from a "
        "backup, or remove spec.pinRevision.",
        stalled=True,
    ),
    Reason.OBJECTS_REFUSED: ReasonRow(
        "The API server refused an object of the run.",
        "Read the message: most often a right of the operator is missing; it is tried again.",
        passes=True,
    ),
    **{Reason(name): row for name, row in (DATA_ROWS | GRAPH_ROWS).items()},
}

DATASET_REASONS: Final = frozenset(
    {Reason.DATASET_NOT_FOUND, Reason.DATASET_INVALID, Reason.TOO_FEW_SAMPLES, Reason.INVALID_DOMAIN}
    | {Reason(name) for name in DATA_ROWS}
)
"""Reasons of DatasetValid=False."""
