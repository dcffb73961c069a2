"""What a workload may ask for, and the command line that makes it so: decisions, no calls."""

from dataclasses import dataclass

from fleet_sdk import errors

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "[config] of a workload on the backend sandbox",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "network": {
            "description": "none: not even the loopback. host: the machine's.",
            "enum": ["none", "host"],
            "default": "none",
        },
        "root": {
            "description": "A folder that is the program's `/`. It has no network then.",
            "type": "string",
            "pattern": "^/[^\\u0000]*$",
        },
    },
}


@dataclass
class Config:
    """The same as `SCHEMA`."""

    network: str = "none"
    root: str | None = None


@dataclass(frozen=True)
class Plan:
    """A command line and the launcher it goes through."""

    launcher: str
    command: list[str]


def plan(config: Config, command: list[str]) -> Plan:
    """Namespaces for mounts, the host's name and shared memory; one for the network where it has none.

    There is none for processes: in it the program would be number 1, which signals do not end.
    """
    if not command:
        raise errors.invalid("command-missing", "there is no program to run: put one after `--`")
    words = ["unshare", "--mount", "--uts", "--ipc"]
    match (config.network, config.root):
        case ("none", None):
            return Plan("sandbox", [*words, "--net", "--", *command])
        case ("host", None):
            return Plan("sandbox-net", [*words, "--", *command])
        case ("none", root):
            return Plan("sandbox-root", [*words, "--net", f"--root={root}", "--", *command])
    raise errors.invalid("config", "a `root` of its own has no network: leave `network` away")
