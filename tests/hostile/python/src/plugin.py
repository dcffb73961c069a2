"""A backend that does its worst: whatever its workload's `[config] deed` says, in `create`."""

import json
import sys

from wit_world import exports
from wit_world.exports import driver
from wit_world.imports.sources import Source
from wit_world.imports.types import Handle, Op, Page


def recurse(depth: int) -> int:
    return recurse(depth + 1) + 1


def perform(deed: str) -> object:
    match deed:
        case "raise":
            raise ValueError("on purpose")
        case "recurse":
            # An interpreter ends it with an exception, as it does anywhere.
            return recurse(0)
        case "exit":
            sys.exit(3)
        case "spin":
            while True:
                pass
        case "memory":
            everything = []
            while True:
                everything.append(bytearray(1 << 20))
        case "wrong-type":
            return driver.Creation_Ready(value=7)
        case "none":
            return None
    return driver.Creation_Ready(driver.Created(Handle(1, deed.encode()), None))


class Driver(exports.Driver):
    def describe(self) -> driver.Description:
        return driver.Description("hostile", "0.1.0", 1, [1], '{"type": "object"}', [])

    def fingerprint(self) -> driver.Facilities:
        return driver.Facilities(None, [])

    def create(self, op: Op, workload: driver.Workload) -> driver.Creation:
        return perform(json.loads(workload.config)["deed"])

    def start(self, op: Op, handle: Handle) -> Handle:
        return handle

    def stop(self, op: Op, handle: Handle, signal: str) -> Handle:
        return handle

    def kill(self, op: Op, handle: Handle) -> Handle:
        return handle

    def destroy(self, op: Op, handle: Handle) -> None:
        return None

    def inspect(self, handle: Handle) -> driver.Observation:
        return driver.Observation(driver.RunState_Running(), None, [])

    def recover(self, handles: list[Handle]) -> list[driver.Observation]:
        return [self.inspect(handle) for handle in handles]

    def list(self, page: Page) -> driver.Listing:
        return driver.Listing([], None)

    def watch(self, handle: Handle) -> Source | None:
        return None
