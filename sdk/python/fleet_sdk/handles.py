"""A plugin's state: what it writes into a handle and reads back, as JSON."""

import json
from dataclasses import asdict
from typing import Any, TypeVar

from wit_world.imports.types import Handle

from . import errors
from .dataclass_json import build

MAX_BYTES = 64 * 1024
"""What the host stores of a handle at most."""

T = TypeVar("T")


def write(schema: int, state: Any) -> Handle:
    """A handle that holds ``state``, a dataclass, in the plugin's own format number ``schema``.

    Raises ``invalid`` (``handle-too-large``) for more than 64 KiB.
    """
    opaque = json.dumps(asdict(state), separators=(",", ":"), ensure_ascii=False).encode()
    if len(opaque) > MAX_BYTES:
        raise errors.invalid(
            "handle-too-large",
            f"the workload's state takes {len(opaque)} bytes and {MAX_BYTES} are kept: shorten its [config]",
        )
    return Handle(schema, opaque)


def read(handle: Handle, schema: int, into: type[T]) -> T:
    """The state in a handle that was written with format number ``schema``.

    Raises ``unsupported`` (``handle-schema``) for another format, ``internal``
    (``handle-unreadable``) for bytes that are not of this one.
    """
    if handle.schema != schema:
        raise errors.unsupported(
            "handle-schema",
            f"the handle has format {handle.schema} and this version of the plugin reads {schema}: use the "
            "version that wrote it, or remove the workload and run it anew",
        )
    try:
        # Decoded here: left to itself `json` may guess an encoding, and none but UTF-8 is in a component.
        return build(json.loads(handle.opaque.decode()), into)
    except ValueError as why:
        raise errors.internal(
            "handle-unreadable", f"the handle cannot be read: {why}; remove the workload and run it anew"
        ) from None
