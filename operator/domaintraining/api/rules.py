r"""What the API server checks at apply beyond types and bounds: CEL rules and patterns with words.

Patterns are read by two engines, Go's in the API server and Rust's in pydantic: they use only what both
read alike, so `\s`, `\w` and `\d` (ASCII in one, Unicode in the other) are left out.
"""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

OBJECT_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
CONFIG_KEY: Final = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
DOMAIN: Final = r"^[a-z][a-z0-9_]{0,62}$"
ONE_LINE: Final = r"^[^\p{Cc}\p{Zl}\p{Zp}]*$"
ONE_LINE_NO_BRACES: Final = r"^[^\p{Cc}\p{Zl}\p{Zp}{}]*$"
NOT_BLANK: Final = r"[^\p{Z}\p{Cc}]"
TYPE_NAME: Final = r'^[^\p{Z}\p{Cc}{}"\\]+( [^\p{Z}\p{Cc}{}"\\]+)*$'
MODEL_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
ENDPOINT: Final = r"^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$"
KEEP_ALIVE: Final = r"^(-1|0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$"
INNER_PATH: Final = r"^\.{0,2}[^/.\p{Cc}][^/\p{Cc}]*(/\.{0,2}[^/.\p{Cc}][^/\p{Cc}]*)*$"
DURATION: Final = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)){1,4}$"
LABEL_KEY: Final = r"^([a-z0-9][-a-z0-9.]{0,251}[a-z0-9]/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def rule(expression: str, message: str) -> dict[str, str]:
    """One CEL rule of the CRD.

    See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
    """
    return {"rule": expression, "message": message}


def rules(*entries: dict[str, str]) -> dict[str, Any]:
    """CEL rules as the `json_schema_extra` of a model or field."""
    return {"x-kubernetes-validations": list(entries)}


def checked(*entries: dict[str, str]) -> Any:
    """CEL rules as an annotation of a field's type."""
    return Field(json_schema_extra=rules(*entries))


def matching(pattern: str, words: str) -> dict[str, str]:
    """A rule that says in words what a pattern asks for; the API server's own message shows the pattern."""
    return rule(f"self.matches(r'{pattern}')", words)


def matching_keys(pattern: str, words: str) -> dict[str, str]:
    """The same for the keys of a map."""
    return rule(f"self.all(key, key.matches(r'{pattern}'))", words)


def matching_values(pattern: str, words: str) -> dict[str, str]:
    """The same for the values of a map."""
    return rule(f"self.all(key, self[key].matches(r'{pattern}'))", words)


ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=OBJECT_NAME),
    checked(matching(OBJECT_NAME, "must be the name of an object: small letters, digits, '-' and '.'")),
]
