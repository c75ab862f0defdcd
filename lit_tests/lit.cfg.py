"""lit configuration: `lit lit_tests`. RUN lines call `lpc opt` and check with `filecheck`."""

import os
import shutil
import sys
from pathlib import Path

import lit.formats

config.name = "lpc"  # noqa: F821  (lit defines `config`)
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.suffixes = [".mlir"]  # noqa: F821
config.test_source_root = str(Path(__file__).parent)  # noqa: F821

# The tools come from the environment of the interpreter that runs lit, whatever else is on PATH.
tools = str(Path(sys.executable).parent)
path = os.pathsep.join([tools, os.environ.get("PATH", "")])
config.environment["PATH"] = path  # noqa: F821
config.environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")  # noqa: F821

# The module also works where only PYTHONPATH leads to the package, not just where it is installed.
config.substitutions.append(("lpc opt", f"{sys.executable} -m lpc.compiler.opt"))  # noqa: F821
if shutil.which("filecheck", path=path) is None:
    lit_config.fatal("filecheck is not installed: pip install 'lpc[dev]'")  # noqa: F821
