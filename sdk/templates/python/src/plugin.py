"""The backend `{{name}}`: programs as processes of the machine.

Each call is one call of the import `process`, and the handle is the name the host gave the process.
"""

import json
from dataclasses import dataclass

from fleet_sdk import configs, errors, handles, processes
from wit_world import exports
from wit_world.exports import driver, logs
from wit_world.imports import process
from wit_world.imports.sources import Source
from wit_world.imports.types import Handle, Op, Page

NOTE = "made by {{name}}"

VERSION = "0.1.0"
SCHEMA = 1
"""The number of the handle's format: raise it when the format changes."""

CONFIG_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "nice": {
            "description": "How far it stands back for other programs.",
            "type": "integer",
            "minimum": 0,
            "maximum": 19,
            "default": 0,
        },
    },
}
"""What a workload may say in its [config]; `Config` takes and refuses the same."""


@dataclass
class Config:
    nice: int = 0


@dataclass
class State:
    """What the handle holds."""

    process: str


def ref(handle: Handle) -> str:
    """The host's name for the process."""
    return handles.read(handle, SCHEMA, State).process


def handle_of(ref: str) -> Handle:
    return handles.write(SCHEMA, State(ref))


class Driver(exports.Driver):
    def describe(self) -> driver.Description:
        return driver.Description("{{name}}", VERSION, SCHEMA, [SCHEMA], json.dumps(CONFIG_SCHEMA), [])

    def fingerprint(self) -> driver.Facilities:
        return processes.facilities()

    def create(self, op: Op, workload: driver.Workload) -> driver.Creation:
        config = configs.read(workload.config, Config)
        if not workload.command:
            raise errors.invalid("command-missing", "there is no program to run: put one after `--`")
        request = process.Request(
            launcher="{{name}}",
            workload=workload.id,
            command=["nice", "-n", str(config.nice), *workload.command],
            env=workload.env,
            attributes=[],
        )
        prepared = process.prepare(op, request)
        return processes.created(handle_of(prepared.ref), prepared)

    def start(self, op: Op, handle: Handle) -> Handle:
        processes.start(op, ref(handle))
        return handle

    def stop(self, op: Op, handle: Handle, signal: str) -> Handle:
        errors.or_gone(lambda: process.signal(op, ref(handle), signal))
        return handle

    def kill(self, op: Op, handle: Handle) -> Handle:
        errors.or_gone(lambda: process.kill(op, ref(handle)))
        return handle

    def destroy(self, op: Op, handle: Handle) -> None:
        errors.or_gone(lambda: process.remove(op, ref(handle)))

    def inspect(self, handle: Handle) -> driver.Observation:
        seen = processes.observe(ref(handle))
        seen.attributes.append(("note", NOTE))
        return seen

    def recover(self, handles: list[Handle]) -> list[driver.Observation]:
        return processes.observe_each(handles, self.inspect)

    def list(self, page: Page) -> driver.Listing:
        return processes.listing(page, handle_of)

    def watch(self, handle: Handle) -> Source | None:
        return processes.end(ref(handle))


class Logs(exports.Logs):
    def open(self, handle: Handle, options: logs.Options) -> Source:
        return processes.output(ref(handle), options)
