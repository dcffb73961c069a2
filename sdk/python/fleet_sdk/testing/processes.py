"""Programs that are only written down."""

from dataclasses import dataclass
from typing import Any

from wit_world.imports import process
from wit_world.imports.types import Op, Page

from .. import errors


@dataclass
class Program:
    """One that was prepared."""

    ref: str
    generation: int
    request: process.Request
    state: process.State
    started_at_ms: int | None = None


class Processes:
    """Says yes to everything that is granted, and remembers it."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self.granted = True
        """Whether any launcher is granted."""
        self.programs: dict[str, Program] = {}
        """Those that were prepared and not removed, by their name."""
        self.signals: list[tuple[str, str]] = []
        """What was sent to which."""
        self.commands: list[tuple[str, bytes]] = []
        """What was given to the input of which."""
        self._done: set[str] = set()

    def end(self, ref: str, code: int, signal: str | None = None) -> None:
        """A program ends, as a test wants it."""
        exit_ = process.Exit(code, signal, self._host.now_ms)
        self._of(ref).state = process.State_Exited(exit_)

    def imports(self) -> dict[str, Any]:
        """The functions of the import, by name."""
        return {
            "facilities": self._facilities,
            "prepare": self._prepare,
            "start": self._start,
            "signal": self._signal,
            "send": self._send,
            "kill": self._kill,
            "inspect": self._inspect,
            "remove": self._remove,
            "list": self._list,
            "exec": self._exec,
            "inspect_exec": lambda exec_: process.ExecState_Running(),
            "resize_exec": lambda exec_, size: None,
            "signal_exec": self._signal_exec,
            "remove_exec": lambda op, exec_: None,
            "usage": self._usage,
            "open": self._open,
        }

    def _facilities(self) -> list[tuple[str, str]]:
        self._check()
        return [("isolation", "fake")]

    def _prepare(self, op: Op, request: process.Request) -> process.Prepared:
        self._check()
        ref = f"{request.workload}/{op.generation}.{op.attempt}"
        if ref not in self.programs:
            self.programs[ref] = Program(ref, op.generation, request, process.State_Prepared())
        return process.Prepared(ref, None)

    def _start(self, op: Op, ref: str) -> process.Status:
        program = self._of(ref)
        if isinstance(program.state, process.State_Prepared):
            program.state, program.started_at_ms = process.State_Running(), self._host.now_ms
        return self._inspect(ref)

    def _signal(self, op: Op, ref: str, signal: str) -> None:
        self._running(ref)
        if self._first(op):
            self.signals.append((ref, signal))

    def _send(self, op: Op, ref: str, bytes_: bytes) -> None:
        self._of(ref)
        if self._first(op):
            self.commands.append((ref, bytes_))

    def _kill(self, op: Op, ref: str) -> None:
        if not isinstance(self._of(ref).state, process.State_Exited):
            self.end(ref, 137, "KILL")

    def _inspect(self, ref: str) -> process.Status:
        program = self._of(ref)
        pid = None if program.started_at_ms is None else 4711
        return process.Status(program.state, pid, program.started_at_ms, [])

    def _remove(self, op: Op, ref: str) -> None:
        self._of(ref)
        del self.programs[ref]

    def _list(self, page: Page) -> process.Listing:
        rest = sorted(ref for ref in self.programs if ref > (page.cursor or ""))
        part = rest[: page.limit]
        found = [self.programs[ref] for ref in part]
        entries = [process.Listed(it.ref, it.request.workload, it.generation) for it in found]
        return process.Listing(entries, part[-1] if len(rest) > len(part) else None)

    def _exec(self, op: Op, ref: str, request: process.ExecRequest) -> str:
        """Begins a program beside it, which runs for ever."""
        self._running(ref)
        return f"{ref}/{op.call}"

    def _signal_exec(self, op: Op, exec_: str, signal: str) -> None:
        if self._first(op):
            self.signals.append((exec_, signal))

    def _usage(self, ref: str) -> process.Sample:
        self._running(ref)
        return process.Sample(1_000, 4_096, 1, None, None, [])

    def _open(self, ref: str, stream: process.Stream) -> Any:
        self._of(ref)
        return self._host.source((ref, stream))

    def _check(self) -> None:
        from .host import denied

        if not self.granted:
            raise denied("process")

    def _of(self, ref: str) -> Program:
        try:
            return self.programs[ref]
        except KeyError:
            raise errors.not_found("no-process", f"there is no process {ref}") from None

    def _running(self, ref: str) -> None:
        if not isinstance(self._of(ref).state, process.State_Running):
            raise errors.not_found("not-running", f"{ref} does not run")

    def _first(self, op: Op) -> bool:
        """Whether an op comes for the first time."""
        is_first = op.id not in self._done
        self._done.add(op.id)
        return is_first
