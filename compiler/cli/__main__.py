"""`python -m lpc.compiler.cli`: the lpc command without its launcher."""

from . import main

main()
