"""What worked examples leave behind: labelled cases, and votes of those nearest to a new one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .knowledge import STOP

NONE = ""
_NEAREST = 6
_FAINT = 0.02


@dataclass(slots=True)
class Shown:
    """Cases of the demos, each with its label (NONE: there was nothing), to be compared by features.

    Args:
        classes: weight of each class of features; a feature is written `class:value`.
        strength: what all votes together weigh where a case of the demos is the same as the one asked about.
    """

    classes: Mapping[str, float]
    strength: float
    labels: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    by_feature: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    weights: dict[str, float] = field(default_factory=dict)
    vocabularies: list[frozenset[str]] = field(default_factory=list)

    def add(self, features: Sequence[str], label: str, demo: int) -> None:
        """Note one case of a demo."""
        for feature in features:
            self.by_feature[feature].append(len(self.labels))
        self.labels.append(label)
        self.sources.append(demo)

    def weigh(self) -> None:
        """Give each feature its weight: by its class, and less the more cases share it."""
        total = max(len(self.labels), 1)
        for feature, places in self.by_feature.items():
            rarity = 0.5 + 0.5 * (1.0 - len(places) / total)
            self.weights[feature] = self.classes[feature.partition(":")[0]] * rarity

    def nearness(self, vocabulary: frozenset[str]) -> list[float]:
        """How much each demo counts for a sentence of these words: 1 to 2."""
        shared = [(vocabulary & known) - STOP for known in self.vocabularies]
        return [1.0 + min(len(words), 6) / 6 for words in shared]

    def votes(self, features: Sequence[str], near: Sequence[float]) -> dict[str, float]:
        """What the cases say of one with these features: votes for labels, together at most `strength`."""
        likeness: dict[int, float] = defaultdict(float)
        for feature in features:
            weight = self.weights.get(feature, 0.0)
            for place in self.by_feature.get(feature, ()):
                likeness[place] += weight
        whole = sum(self.classes[feature.partition(":")[0]] for feature in features)
        ranked = sorted(likeness.items(), key=lambda item: (-item[1], item[0]))[:_NEAREST]
        votes: dict[str, float] = defaultdict(float)
        for place, alike in ranked:
            votes[self.labels[place]] += near[self.sources[place]] * (alike / whole) ** 2
        total = sum(votes.values())
        best = ranked[0][1] / whole if ranked else 0.0
        scale = self.strength * best / total if total > _FAINT else 0.0
        return {label: vote * scale for label, vote in votes.items()}
