"""Everything the SDK raises, one tree:

    EdgeError
    ├── ConfigError      a setting, option, budget string or address cannot be used
    ├── BundleError      a bundle is missing, damaged or does not fit
    ├── RuntimeMissing   no ExecuTorch runtime on this machine
    ├── CameraError      a camera, folder or video cannot be opened, or ended in failure
    ├── ImageError       one picture cannot be used: broken, too large, wrong shape
    ├── StorageError     spool, journal or ledger cannot be written or read
    ├── StateError       something is used by a process that did not open it (a forked child)
    └── WorkbenchError   export, training or calibration cannot go on

Expected outcomes (offline, budget spent, spool full) are values, never exceptions. Each message says what was expected
and what came.
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base of all errors that the SDK raises."""


class ConfigError(EdgeError, ValueError):
    """A setting cannot be used."""


class BundleError(EdgeError):
    """A bundle is missing, damaged or does not fit."""


class RuntimeMissing(EdgeError):
    """No ExecuTorch runtime is installed."""


class CameraError(EdgeError):
    """A camera cannot be opened or has failed."""


class ImageError(EdgeError, ValueError):
    """One picture cannot be used."""


class StorageError(EdgeError):
    """Spool, journal or ledger cannot be written or read."""


class StateError(EdgeError):
    """Something is used by a process that did not open it."""


class WorkbenchError(EdgeError):
    """Work on the workstation cannot go on."""
