"""The workbench's commands, as `edge-sdk` runs them."""
