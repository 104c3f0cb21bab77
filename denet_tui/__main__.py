"""`python -m denet_tui` is the same as `denet-tui`."""

from denet_tui.cli import main

main()
