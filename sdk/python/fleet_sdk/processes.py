"""What a backend says of a program that it has the host run.

A backend that runs programs composes a command line and leaves the rest to the import ``process``: the
host keeps the program, its output and its exit record across its own restarts. Needs ``import
fleet:host/process`` in ``wit/world.wit``, and a launcher in ``plugin.toml``.
"""

from collections.abc import Callable
from typing import TypeVar

from componentize_py_types import Err
from wit_world.exports import driver
from wit_world.imports import process
from wit_world.imports.sources import Source
from wit_world.imports.types import Error, ErrorKind, Handle, Op, Page

from . import errors

T = TypeVar("T")


def facilities() -> driver.Facilities:
    """What the host can do for programs here; unusable, with the line to add, where nothing is granted."""
    try:
        return driver.Facilities(None, process.facilities())
    except Err as raised:
        if errors.is_kind(raised, ErrorKind.DENIED):
            return driver.Facilities(raised.value.message, [])
        raise


def created(handle: Handle, prepared: process.Prepared) -> driver.Creation:
    """The answer to ``create``."""
    return driver.Creation_Ready(driver.Created(handle, _kill_target(prepared.kill_target)))


def start(op: Op, ref: str) -> None:
    """Starts it. One whose start was lost may have run: the next look says so."""
    try:
        process.start(op, ref)
    except Err as raised:
        if not (isinstance(raised.value, Error) and raised.value.code == "start-lost"):
            raise


def observe(ref: str) -> driver.Observation:
    """What a look at it says of the runtime. One the host has no record of is lost: a handle exists only
    for one that was prepared."""
    try:
        status = process.inspect(ref)
    except Err as raised:
        if errors.is_not_found(raised):
            return driver.Observation(driver.RunState_Lost(raised.value.message), None, [])
        raise
    attributes = [fact for fact in status.attributes if fact[0] != "pid"]
    if status.pid is not None:
        attributes.append(("pid", str(status.pid)))
    state = status.state
    if isinstance(state, process.State_Exited) and state.value.signal is not None:
        attributes.append(("signal", state.value.signal))
    return driver.Observation(_run_state(state), status.started_at_ms, attributes)


def observe_each(
    handles: list[Handle], look: Callable[[Handle], driver.Observation]
) -> list[driver.Observation]:
    """Looks at each, in order; one that cannot be looked at spoils no other's answer."""

    def one(handle: Handle) -> driver.Observation:
        try:
            return look(handle)
        except Err as raised:
            return driver.Observation(driver.RunState_Unknown(raised.value.message), None, [])

    return [one(handle) for handle in handles]


def listing(page: Page, handle: Callable[[str], Handle]) -> driver.Listing:
    """The host's records of this plugin's programs. They are this node's own, so ``node`` stays empty."""
    found = process.list(page)
    entries = [driver.Listed(handle(it.ref), it.workload, "", it.generation) for it in found.entries]
    return driver.Listing(entries, found.next)


def end(ref: str) -> Source:
    """The answer to ``watch``: a source that closes when the program has ended."""
    return process.open(ref, process.Stream_End())


def output(ref: str, options: object) -> Source:
    """The answer to ``logs.open``: what the program printed. ``options`` are those of ``logs``."""
    asked = process.OutputOptions(options.follow, options.since_ms, options.tail, options.cursor)
    return process.open(ref, process.Stream_Output(asked))


def usage(ref: str, sample: Callable[..., T]) -> T:
    """The answer to ``stats.take``: what the program and all its descendants use. ``sample`` is
    ``wit_world.exports.stats.Sample``, which is there only in a world that exports it."""
    used = process.usage(ref)
    return sample(
        used.cpu_us, used.memory_bytes, used.processes, used.read_bytes, used.written_bytes, used.attributes
    )


def _run_state(state: process.State) -> driver.RunState:
    match state:
        case process.State_Prepared():
            return driver.RunState_Created()
        case process.State_Running():
            return driver.RunState_Running()
        case process.State_Exited(end):
            return driver.RunState_Exited(driver.Exit(end.code, end.signal, end.at_ms))
        case process.State_Lost(why):
            return driver.RunState_Lost(why)
        case process.State_Other(word):
            return driver.RunState_Other(word)
    raise TypeError(f"no state: {state!r}")


def _kill_target(target: process.KillTarget | None) -> driver.KillTarget | None:
    match target:
        case None:
            return None
        case process.KillTarget_Cgroup(path):
            return driver.KillTarget_Cgroup(path)
        case process.KillTarget_Process(process_):
            return driver.KillTarget_Process(process_)
        case process.KillTarget_Other(word):
            return driver.KillTarget_Other(word)
    raise TypeError(f"no kill target: {target!r}")
