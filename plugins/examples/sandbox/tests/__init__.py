"""Makes the plugin, its SDK and the contract's types importable."""

import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
for folder in ("src", "sdk", "sdk/bindings"):
    sys.path.insert(0, str(PROJECT / folder))
