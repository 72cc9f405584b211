"""Domain errors: each carries the reason that the resource's conditions show."""

from domaintraining.api.reasons import REASONS, Reason


class DomainTrainingError(Exception):
    """Something that keeps a run from starting or finishing.

    Args:
        reason: the constant that the condition shows; its row of the table gives remedy and retry.
        message: what happened and where (file, line, field), without sample text or secrets.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def retryable(self) -> bool:
        """Whether the cause may pass without a person."""
        return REASONS[self.reason].passes

    @property
    def remedy(self) -> str:
        """What a person does next."""
        return REASONS[self.reason].remedy
