"""Examples that run from a checkout: ``python -m examples.demo``, ``celery -A examples.shop.app:celery_app worker``."""

import sys
from pathlib import Path

# A real shop installs its contracts package; in a checkout it only has to be found.
_CONTRACTS = str(Path(__file__).resolve().parent.parent / "contracts")
if _CONTRACTS not in sys.path:
    sys.path.append(_CONTRACTS)
