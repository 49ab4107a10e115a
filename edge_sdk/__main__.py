"""`python -m edge_sdk` is the command `edge-sdk`."""

from edge_sdk.cli import main

main()
