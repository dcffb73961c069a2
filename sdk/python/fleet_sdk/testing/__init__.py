"""Plugins tested by plain Python: fakes of all imports, and a harness for tables.

    class Tables(unittest.TestCase):
        def test_life(self):
            testing.table(plugin.Driver(), [
                # what          [config]      steps                 what comes of it
                ("it runs",     {},           "create start",       "running"),
                ("code 3",      {},           "create start end=3", "exited 3"),
                ("a typo",      {"lan": 1},   "create",             "error invalid config"),
            ])

Needs ``bindings`` of this SDK on the path; the test folder of a new project sees to it.
"""

from .host import Host
from .tables import op, page, table, workload

__all__ = ["Host", "op", "page", "table", "workload"]
