"""A workload's ``[config]`` as a typed value.

The host checks it against the plugin's schema when a workload is made; what is done here is to give it
names and defaults.
"""

import json
from typing import TypeVar

from . import errors
from .dataclass_json import build

T = TypeVar("T")


def read(config: str, into: type[T]) -> T:
    """The backend's own part of a workload (``workload.config``), as a dataclass whose fields are the
    keys; a ``-`` in a key is a ``_`` in the field.

    Raises ``invalid`` (``config``) for what does not fit.
    """
    try:
        return build(json.loads(config), into)
    except ValueError as why:
        raise errors.invalid("config", f"[config] cannot be used: {why}; see the backend's schema") from None
