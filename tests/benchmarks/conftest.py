"""Puts the repository first on the path: xdsl's wheel, too, installs a package `benchmarks`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
