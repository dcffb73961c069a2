"""A host made up: what a plugin's imports answer while it is in force.

    with testing.Host() as host:
        host.settings = {"depth": 3}
        ...
        assert host.lines == [("info", "made")]
"""

import json
from typing import Any, Self
from unittest.mock import patch

from componentize_py_types import Err
from wit_world.imports import clock, config, endpoint, handles, lines, log, process
from wit_world.imports.sources import Source

from .. import errors
from .endpoints import Endpoints
from .processes import Processes


class Host:
    """Puts fakes in the place of all imports for as long as its ``with`` block lasts."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        """What the clock says, Unix milliseconds; ``since_boot`` says as much less."""
        self.settings: dict[str, Any] = {}
        """The operator's settings."""
        self.write_schema: int | None = None
        """The schema that handles are to be written in, where it is not the plugin's own."""
        self.lines: list[tuple[str, str]] = []
        """What was logged: level and message."""
        self.opened: list[Any] = []
        """What the sources that were opened are of, in order."""
        self.processes = Processes(self)
        """The programs; also what is granted."""
        self.endpoints = Endpoints(self)
        """What services answer."""
        self._patches: list[Any] = []

    def source(self, of: Any) -> Source:
        """A source, and a note of what it is of."""
        self.opened.append(of)
        return Source()

    def __enter__(self) -> Self:
        boot_ms = 1_600_000_000_000
        self._put(clock, now=lambda: self.now_ms, since_boot=lambda: self.now_ms - boot_ms)
        self._put(config, get=lambda: json.dumps(self.settings))
        self._put(handles, write_schema=lambda: self.write_schema)
        self._put(lines, open=lambda given: self.source(("lines", given)))
        self._put(log, write=lambda level, message: self.lines.append((level.name.lower(), message)))
        self._put(endpoint, get=self.endpoints.get, send=self.endpoints.send, open=self.endpoints.open)
        self._put(process, **self.processes.imports())
        return self

    def __exit__(self, *_: object) -> None:
        while self._patches:
            self._patches.pop().stop()

    def _put(self, module: Any, **functions: Any) -> None:
        for name, function in functions.items():
            patched = patch.object(module, name, function)
            patched.start()
            self._patches.append(patched)


def denied(what: str) -> Err:
    """What a host answers where a grant is missing."""
    from wit_world.imports.types import ErrorKind

    return errors.error(ErrorKind.DENIED, "not-granted", f"it is not granted `{what}`")
