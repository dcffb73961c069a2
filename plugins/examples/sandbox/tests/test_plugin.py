"""What the plugin decides, without a host: `python3 -m unittest`."""

import unittest

import plugin
from fleet_sdk import testing
from sandbox import Config, plan


class Tables(unittest.TestCase):
    def test_a_workloads_life(self) -> None:
        testing.table(
            plugin.Driver(),
            [
                # what is tried         [config]               steps                 what comes of it
                ("it runs",             {},                    "create start",       "running"),
                ("with a network",      {"network": "host"},   "create start",       "running"),
                ("it ends by itself",   {"root": "/srv/r"},    "create start end=3", "exited 3"),
                ("a typo",              {"net": "none"},       "create",             "error invalid config"),
                ("both",                {"network": "host", "root": "/r"}, "create", "error invalid config"),
            ],
        )

    def test_each_sandbox_goes_through_its_own_launcher(self) -> None:
        for config, launcher, flags in [
            (Config(), "sandbox", ["--net"]),
            (Config(network="host"), "sandbox-net", []),
            (Config(root="/srv/roots/a"), "sandbox-root", ["--net", "--root=/srv/roots/a"]),
        ]:
            made = plan(config, ["ls", "-l"])
            self.assertEqual(made.launcher, launcher)
            words = ["unshare", "--mount", "--uts", "--ipc", *flags, "--", "ls", "-l"]
            self.assertEqual(made.command, words)


if __name__ == "__main__":
    unittest.main()
