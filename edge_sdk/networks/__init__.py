"""Networks as files: checkpoints, exit sequences and pruned shapes,
written by the workbench and read by the cloud.

Imports torch.
"""
