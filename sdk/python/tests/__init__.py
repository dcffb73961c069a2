"""Makes the SDK and the contract's types importable."""

import sys
from pathlib import Path

SDK = Path(__file__).parent.parent
for folder in (".", "bindings"):
    sys.path.insert(0, str(SDK / folder))
