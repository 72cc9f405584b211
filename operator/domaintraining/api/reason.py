"""The constants of conditions and findings; reasons.py has the table with what each means."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """A constant that programs may match on; its meaning never changes within v1alpha1."""

    # stages of a run, and Ready
    PENDING = "Pending"
    QUEUED = "Queued"
    TRAINING = "Training"
    SUSPENDED = "Suspended"
    PROMOTED = "Promoted"
    PINNED = "Pinned"
    REJECTED = "Rejected"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    # DatasetValid
    DATASET_VALID = "DatasetValid"
    DATASET_NOT_FOUND = "DatasetNotFound"
    DATASET_INVALID = "DatasetInvalid"
    TOO_FEW_SAMPLES = "TooFewSamples"
    INVALID_DOMAIN = "InvalidDomain"
    # ModelReady
    MODEL_READY = "ModelReady"
    MODEL_NOT_ALLOWED = "ModelNotAllowed"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_PULLING = "ModelPulling"
    MODEL_PULL_FAILED = "ModelPullFailed"
    MODEL_UNSUITABLE = "ModelUnsuitable"
    MODEL_SERVER_UNAVAILABLE = "ModelServerUnavailable"
    # Trained
    TRAINED = "Trained"
    REUSED = "Reused"
    OUT_OF_MEMORY = "OutOfMemory"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_DENIED = "AdmissionDenied"
    PLACEMENT_NOT_ALLOWED = "PlacementNotAllowed"
    SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
    NAME_CONFLICT = "NameConflict"
    POD_LOST = "PodLost"
    JOURNAL_NOT_FOUND = "JournalNotFound"
    JOURNAL_BUSY = "JournalBusy"
    JOURNAL_UNUSABLE = "JournalUnusable"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    TRAINER_FAILED = "TrainerFailed"
    MODEL_OUTPUT_INVALID = "ModelOutputInvalid"
    PROMPT_TOO_LONG = "PromptTooLong"
    RESULT_TOO_LARGE = "ResultTooLarge"
    RESULT_INVALID = "ResultInvalid"
    # status.drift
    UNCHANGED = "Unchanged"
    CHECKING = "Checking"
    NO_LOSS = "NoLoss"
    LOSS = "Loss"
    CHANGED = "Changed"
    NOT_MEASURED = "NotMeasured"
    CHECK_FAILED = "CheckFailed"
    # others
    NOT_ACCEPTED = "NotAccepted"
    NO_PROMPT = "NoPrompt"
    NO_HELD_OUT_DATA = "NoHeldOutData"
    REVISION_NOT_FOUND = "RevisionNotFound"
    OBJECTS_REFUSED = "ObjectsRefused"


class ReasonRow(NamedTuple):
    """What a reason means and what to do about it."""

    meaning: str
    """What happened."""
    remedy: str
    """What a person does next."""
    stalled: bool = False
    """Whether it needs a person: the run stands still until something changes."""
    passes: bool = False
    """Whether the controller tries again with backoff because the cause may pass."""
