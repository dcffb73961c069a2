"""The backend `sandbox`: programs in namespaces of their own.

It composes a command line for `unshare`, which goes through an operator's launcher; the host keeps the
program, its output and its exit record. The handle is the name the host gave the process.
"""

import json
from dataclasses import dataclass

from fleet_sdk import configs, errors, handles, processes
from wit_world import exports
from wit_world.exports import driver, logs, stats
from wit_world.imports import process
from wit_world.imports.sources import Source
from wit_world.imports.types import Handle, Op, Page

import sandbox

VERSION = "0.1.0"
SCHEMA = 1
"""The number of the handle's format."""


@dataclass
class State:
    """What the handle holds."""

    process: str
    launcher: str


def state(handle: Handle) -> State:
    return handles.read(handle, SCHEMA, State)


class Driver(exports.Driver):
    def describe(self) -> driver.Description:
        return driver.Description("sandbox", VERSION, SCHEMA, [SCHEMA], json.dumps(sandbox.SCHEMA), [])

    def fingerprint(self) -> driver.Facilities:
        return processes.facilities()

    def create(self, op: Op, workload: driver.Workload) -> driver.Creation:
        config = configs.read(workload.config, sandbox.Config)
        plan = sandbox.plan(config, workload.command)
        request = process.Request(plan.launcher, workload.id, plan.command, workload.env, [])
        prepared = process.prepare(op, request)
        return processes.created(handles.write(SCHEMA, State(prepared.ref, plan.launcher)), prepared)

    def start(self, op: Op, handle: Handle) -> Handle:
        processes.start(op, state(handle).process)
        return handle

    def stop(self, op: Op, handle: Handle, signal: str) -> Handle:
        errors.or_gone(lambda: process.signal(op, state(handle).process, signal))
        return handle

    def kill(self, op: Op, handle: Handle) -> Handle:
        errors.or_gone(lambda: process.kill(op, state(handle).process))
        return handle

    def destroy(self, op: Op, handle: Handle) -> None:
        errors.or_gone(lambda: process.remove(op, state(handle).process))

    def inspect(self, handle: Handle) -> driver.Observation:
        known = state(handle)
        seen = processes.observe(known.process)
        seen.attributes.append(("launcher", known.launcher))
        return seen

    def recover(self, handles: list[Handle]) -> list[driver.Observation]:
        return processes.observe_each(handles, self.inspect)

    def list(self, page: Page) -> driver.Listing:
        # The host's record does not say through which launcher it went; nothing but a fact is lost.
        return processes.listing(page, lambda ref: handles.write(SCHEMA, State(ref, "unknown")))

    def watch(self, handle: Handle) -> Source | None:
        return processes.end(state(handle).process)


class Logs(exports.Logs):
    def open(self, handle: Handle, options: logs.Options) -> Source:
        return processes.output(state(handle).process, options)


class Input(exports.Input):
    def send(self, op: Op, handle: Handle, bytes: bytes) -> None:
        process.send(op, state(handle).process, bytes)


class Signals(exports.Signals):
    def send(self, op: Op, handle: Handle, signal: str) -> None:
        process.signal(op, state(handle).process, signal)


class Stats(exports.Stats):
    def take(self, handle: Handle) -> stats.Sample:
        return processes.usage(state(handle).process, stats.Sample)
