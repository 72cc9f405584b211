"""Data on a server: what is checked, and let out to, without the Secret that opens it."""

import hashlib
import json

from domaintraining.api.dataset import Dataset
from domaintraining.controller.settings import Settings
from domaintraining.dataguard import DataGuard, data_origin


def remote_digest(dataset: Dataset, settings: Settings) -> str:
    """Digest of what spec says of the server and the Secret; what it holds is seen by the trainer alone.

    Raises:
        DomainTrainingError: the server is named by an address that nothing is sent to
            (DatasetAddressNotAllowed); names are checked when they are resolved.
    """
    given = dataset.given()
    assert given is not None, "only of data on a server"
    field, source = given
    leads = settings.data_host_leads(source.server)
    DataGuard(server=data_origin(source.server), leads=leads).check_literal(source.server)
    text = json.dumps([field, source.model_dump(mode="json", by_alias=True)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
