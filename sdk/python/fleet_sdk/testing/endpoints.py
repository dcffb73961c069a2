"""Services that answer what a test wrote down."""

import json
from typing import Any

from wit_world.imports.endpoint import Request, Response
from wit_world.imports.types import Op

from .. import errors


class Endpoints:
    """Answers by method and path; what has no answer is refused, as a policy does."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        """By method and path: the status, and a body that becomes JSON."""
        self.asked: list[tuple[str, str, Any]] = []
        """What was asked: method, path, and the body as JSON."""

    def get(self, endpoint: str, request: Request) -> Response:
        return self._answer(request)

    def send(self, op: Op, endpoint: str, request: Request) -> Response:
        return self._answer(request)

    def open(self, op: Op | None, endpoint: str, request: Request) -> Any:
        self._answer(request)
        return self._host.source((request.method, request.path))

    def _answer(self, request: Request) -> Response:
        body = None if request.body is None else json.loads(request.body)
        self.asked.append((request.method, request.path, body))
        found = self.answers.get((request.method, request.path))
        if found is None:
            from wit_world.imports.types import ErrorKind

            what = f"{request.method} {request.path}"
            raise errors.error(ErrorKind.DENIED, "no-rule", f"no rule allows {what}")
        status, answer = found
        return Response(status, [], b"" if answer is None else json.dumps(answer).encode(), [])
