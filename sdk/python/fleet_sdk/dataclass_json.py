"""From a JSON object to a dataclass: what configs and handles have in common."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")


def build(told: Any, into: type[T]) -> T:
    """``told`` as this dataclass. A key is a field; a ``-`` in a key is a ``_`` in the field.

    Raises ``ValueError`` with what does not fit.
    """
    if not is_dataclass(into):
        raise TypeError(f"{into!r} is no dataclass")
    if not isinstance(told, dict):
        raise ValueError("it is no object")
    known = {field.name: field for field in fields(into)}
    values: dict[str, Any] = {}
    for key, value in told.items():
        name = key.replace("-", "_")
        if name not in known:
            raise ValueError(f"there is no key `{key}`")
        values[name] = value
    for name, field in known.items():
        is_required = field.default is MISSING and field.default_factory is MISSING
        if is_required and name not in values:
            raise ValueError(f"the key `{name}` is missing")
    return into(**values)
