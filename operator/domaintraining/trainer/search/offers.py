"""What similar domains offer, as it is mounted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from domaintraining.api.similar import Offer, Offered, offer_digest

MAX_FILE: Final = 1_048_576


def read_offers(folder: Path, offered: Sequence[Offered]) -> list[Offer]:
    """The offers that a run names, each as it was when the run started; others are left out."""
    offers = []
    for one in offered:
        try:
            with (folder / f"{one.name}.json").open("rb") as file:
                text = file.read(MAX_FILE).decode()
            offer = Offer.model_validate_json(text)
        except (OSError, ValidationError, ValueError, RecursionError):
            continue
        if offer_digest(text) == one.digest and (offer.name, offer.revision) == (one.name, one.revision):
            offers.append(offer)
    return offers
