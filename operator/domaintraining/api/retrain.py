"""The part of the spec that says what a change under a served prompt leads to; none of it is in the hash."""

from typing import Literal

from domaintraining.api.base import ApiModel

OnChange = Literal["OnLoss", "Always", "Never"]


class Retrain(ApiModel):
    """What a change of the data, or of the model on its server, leads to."""

    on_dataset_change: OnChange = "OnLoss"
    """OnLoss: changed data are first measured with the served prompt, and a run starts only where a task's
    F1 is below the low end of its published confidenceInterval; Always: a run, without measuring; Never:
    nothing, and the data are not looked at."""
    on_model_change: OnChange = "OnLoss"
    """The same where the model server has another digest for the model."""
