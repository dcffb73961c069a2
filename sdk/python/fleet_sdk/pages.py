"""A part of a list: every list of the contract is paged."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from wit_world.imports.types import Page

T = TypeVar("T")


def of(entries: Iterable[T], page: Page, key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The entries of one page, in the order of their keys, and the cursor of the next; the cursor is a
    key, so that what comes and goes between two pages moves nothing. Keys must be unique."""
    after = page.cursor or ""
    rest = sorted((entry for entry in entries if key(entry) > after), key=key)
    limit = max(page.limit, 1)
    part = rest[:limit]
    more = len(rest) > limit
    return part, key(part[-1]) if more else None
