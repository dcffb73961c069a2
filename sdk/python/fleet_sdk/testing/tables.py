"""A harness for tables: a workload's life in words."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from componentize_py_types import Err
from wit_world.exports import driver
from wit_world.imports.types import Handle, Op, Page

from .host import Host

WORKLOAD = "wl_00000000000000000000000001"


def op(verb: str, *, generation: int = 1, attempt: int = 1, call: str = "") -> Op:
    """An op about the workload of these tests."""
    item = f"workload/{WORKLOAD}"
    return Op(f"{item}@{generation}.{attempt}:{verb}#{call}", item, generation, attempt, verb, call)


def page(limit: int = 100, cursor: str | None = None) -> Page:
    """A page of a list."""
    return Page(cursor, limit)


def workload(command: Iterable[str] = ("true",), config: Any = None, env: Any = ()) -> driver.Workload:
    """The workload of these tests."""
    return driver.Workload(
        id=WORKLOAD,
        name="test",
        node="nd_00000000000000000000000001",
        command=list(command),
        env=list(env),
        ports=[],
        labels=[],
        config=json.dumps(config or {}),
        limits=driver.Limits(None, None, None, []),
        attributes=[],
    )


def table(
    backend: Any,
    rows: Iterable[tuple[str, Any, str, str]],
    before: Callable[[Host], object] = lambda host: None,
) -> None:
    """Plays each row on a host of its own and compares what comes of it: name, ``[config]``, steps, outcome.

    Steps: ``create``, ``start``, ``stop``, ``kill``, ``destroy``, and ``end=CODE``, which ends the program
    by itself. Each that changes something is done twice with the same op, and must answer the same.
    Outcomes: ``created``, ``running``, ``exited CODE``, ``lost``, ``unknown``, ``gone`` (after
    ``destroy``), or ``error KIND CODE`` of the first step that fails. ``before`` sets the host up for a row.
    """
    wrong = []
    for name, config, steps, want in rows:
        with Host() as host:
            before(host)
            came = _play(backend, host, config, steps.split())
        if came != want:
            wrong.append(f"{name}: wanted `{want}`, came `{came}`")
    assert not wrong, "\n".join(wrong)


def _play(backend: Any, host: Host, config: Any, steps: list[str]) -> str:
    handle: Handle | None = None
    try:
        for step in steps:
            if step.startswith("end="):
                for ref in host.processes.programs:
                    host.processes.end(ref, int(step.removeprefix("end=")))
            elif step == "create":
                handle = _twice(step, lambda: _created(backend, config))
            elif step == "destroy":
                _twice(step, lambda: backend.destroy(op("destroy"), handle))
                return "gone"
            else:
                handle = _twice(step, lambda: _changed(backend, step, handle))
        return _word(backend.inspect(handle).state)
    except Err as raised:
        error = raised.value
        return f"error {error.kind.name.lower().replace('_', '-')} {error.code}"


def _created(backend: Any, config: Any) -> Handle:
    made = backend.create(op("create"), workload(config=config))
    assert isinstance(made, driver.Creation_Ready), f"create answered {made!r}"
    return made.value.handle


def _changed(backend: Any, step: str, handle: Handle | None) -> Handle:
    match step:
        case "start":
            return backend.start(op("start"), handle)
        case "stop":
            return backend.stop(op("stop"), handle, "TERM")
        case "kill":
            return backend.kill(op("kill"), handle)
    raise ValueError(f"there is no step `{step}`")


def _twice(step: str, work: Any) -> Any:
    first, again = work(), work()
    assert first == again, f"`{step}` again with the same op answered {again!r}, before {first!r}"
    return first


def _word(state: driver.RunState) -> str:
    match state:
        case driver.RunState_Created():
            return "created"
        case driver.RunState_Running():
            return "running"
        case driver.RunState_Exited(end):
            return f"exited {end.code}"
        case driver.RunState_Lost():
            return "lost"
        case driver.RunState_Unknown():
            return "unknown"
    return f"other {state!r}"
