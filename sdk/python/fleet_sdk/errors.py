"""Errors by their kind.

The host decides on the kind alone, programs match the code, people read the message: so each error has
all three, and the message ends with what to do. Raise what these functions return::

    raise errors.invalid("command-missing", "there is no program to run: put one after `--`")

Any other exception that leaves a plugin is a trap: the call ends with ``internal``, and the first line of
what the exception says stands in the answer, with the place that raised it.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from componentize_py_types import Err
from wit_world.imports.types import Error, ErrorKind

T = TypeVar("T")


def error(
    kind: ErrorKind,
    code: str,
    message: str,
    *,
    retry_after_ms: int | None = None,
    details: Iterable[tuple[str, str]] = (),
) -> Err:
    """An error of any kind. ``code`` is stable and kebab-case."""
    return Err(Error(kind, code, message, retry_after_ms, list(details)))


def invalid(code: str, message: str) -> Err:
    """The request itself is wrong: the same again fails again."""
    return error(ErrorKind.INVALID, code, message)


def not_found(code: str, message: str) -> Err:
    """What was named does not exist. For stop, kill and destroy that is success."""
    return error(ErrorKind.NOT_FOUND, code, message)


def conflict(code: str, message: str) -> Err:
    """It clashes with what exists."""
    return error(ErrorKind.CONFLICT, code, message)


def unsupported(code: str, message: str) -> Err:
    """This plugin or host cannot do it."""
    return error(ErrorKind.UNSUPPORTED, code, message)


def unavailable(code: str, message: str, *, retry_after_ms: int | None = None) -> Err:
    """Not reachable now: the host tries again."""
    return error(ErrorKind.UNAVAILABLE, code, message, retry_after_ms=retry_after_ms)


def internal(code: str, message: str) -> Err:
    """A bug; it counts against the plugin."""
    return error(ErrorKind.INTERNAL, code, message)


def is_kind(raised: Err, kind: ErrorKind) -> bool:
    """Whether what an import raised is of this kind."""
    return isinstance(raised.value, Error) and raised.value.kind == kind


def is_not_found(raised: Err) -> bool:
    """Whether what was named does not exist."""
    return is_kind(raised, ErrorKind.NOT_FOUND)


def or_gone(work: Callable[[], T]) -> T | None:
    """Does it; fine where what it is about is gone already."""
    try:
        return work()
    except Err as raised:
        if is_not_found(raised):
            return None
        raise
