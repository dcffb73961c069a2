"""What the plugin decides, without a host: `python3 -m unittest`."""

import unittest

import plugin
from fleet_sdk import testing


class Tables(unittest.TestCase):
    def test_a_workloads_life(self) -> None:
        testing.table(
            plugin.Driver(),
            [
                # what is tried          [config]      steps                      what comes of it
                ("it is made",           {},           "create",                  "created"),
                ("it runs",              {},           "create start",            "running"),
                ("it ends by itself",    {},           "create start end=3",      "exited 3"),
                ("it is ended",          {},           "create start kill",       "exited 137"),
                ("it ended before",      {},           "create start end=0 stop", "exited 0"),
                ("it is removed",        {},           "create start destroy",    "gone"),
                ("a typo",               {"nicer": 1}, "create",                  "error invalid config"),
            ],
        )

    def test_what_is_run(self) -> None:
        with testing.Host() as host:
            backend, config = plugin.Driver(), {"nice": 5}
            backend.create(testing.op("create"), testing.workload(["sleep", "9"], config))
            (program,) = host.processes.programs.values()
        self.assertEqual(program.request.command, ["nice", "-n", "5", "sleep", "9"])

    def test_without_a_launcher_it_says_so(self) -> None:
        with testing.Host() as host:
            host.processes.granted = False
            facilities = plugin.Driver().fingerprint()
        self.assertIn("not granted", facilities.unusable)


if __name__ == "__main__":
    unittest.main()
