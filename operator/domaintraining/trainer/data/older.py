"""The forms that a sample may have in a file: today's, and two older ones that are still read."""

from typing import Any, Final

OLD_ENTITY_TYPE: Final = "CONCEPT"
"""Type of entities in the older form, which are plain strings."""

_OLD_RELATION: Final = {"subject": "source", "predicate": "type", "object": "target"}
_NEW_RELATION: Final = {new: old for old, new in _OLD_RELATION.items()}
_SAMPLE_KEYS: Final = frozenset({"text", "entities", "relations", "group"})
_ENTITY_KEYS: Final = frozenset({"name", "type", "description"})
_RELATION_KEYS: Final = frozenset({"source", "type", "target", "description"})


def known_form(value: Any) -> tuple[Any, int]:
    """A raw sample in today's form without unknown keys, and how many of those there were.

    What has another shape is left as it is, for the validation to refuse.
    """
    if not isinstance(value, dict):
        return value, 0
    plain, unknown = _only(value, _SAMPLE_KEYS)
    for key, renew, keys in (("entities", _entity, _ENTITY_KEYS), ("relations", _relation, _RELATION_KEYS)):
        if isinstance(plain.get(key), list):
            items = [_only(renew(item), keys) for item in plain[key]]
            plain[key] = [item for item, _ in items]
            unknown += sum(more for _, more in items)
    return plain, unknown


def _only(value: Any, keys: frozenset[str]) -> tuple[Any, int]:
    if not isinstance(value, dict):
        return value, 0
    known = {key: item for key, item in value.items() if key in keys}
    return known, len(value) - len(known)


def _entity(item: Any) -> Any:
    return {"name": item, "type": OLD_ENTITY_TYPE} if isinstance(item, str) else item


def _relation(item: Any) -> Any:
    return {_OLD_RELATION.get(key, key): value for key, value in item.items()} if is_old(item) else item


def is_old(relation: Any) -> bool:
    """Whether a raw relation is one of subject, predicate and object."""
    return (
        isinstance(relation, dict)
        and not _OLD_RELATION.keys().isdisjoint(relation)
        and _NEW_RELATION.keys().isdisjoint(relation)
    )


def old_key(key: str) -> str:
    """What the older form of relations calls a key of today's."""
    return _NEW_RELATION.get(key, key)
