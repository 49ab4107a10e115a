"""A C library, built here and preloaded, that counts syncs and makes each of them last as long as on an SD card."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>
static __thread long here;
static long all;
long syncs_here(void) { return here; }
long syncs_all(void) { return all; }
static void slow(void) {
    const char *ms = getenv("SLOW_SYNC_MS");
    here++;
    __sync_fetch_and_add(&all, 1);
    if (ms) usleep(1000 * atof(ms));
}
#define SLOW(name) \\
    int name(int fd) { \\
        static int (*next)(int); \\
        if (!next) next = dlsym(RTLD_NEXT, #name); \\
        slow(); \\
        return next(fd); \\
    }
SLOW(fsync)
SLOW(fdatasync)
SLOW(syncfs)
int sync_file_range(int fd, off64_t at, off64_t n, unsigned how) {
    static int (*next)(int, off64_t, off64_t, unsigned);
    if (!next) next = dlsym(RTLD_NEXT, "sync_file_range");
    slow();
    return next(fd, at, n, how);
}
"""


def environment(sync_ms: float | None, folder: Path) -> dict[str, str]:
    """The environment of a process under the library, which is built in `folder`; None: syncs are only counted."""
    library = folder / "slow_sync.so"
    if not library.exists():
        source = folder / "slow_sync.c"
        source.write_text(_SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    slow = {} if sync_ms is None else {"SLOW_SYNC_MS": str(sync_ms)}
    return {**os.environ, "LD_PRELOAD": str(library), **slow}


def restart_with(sync_ms: float) -> None:
    """Run this program again under the library, unless it runs so already; returns there."""
    if "SLOW_SYNC_MS" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, *sys.argv], env=environment(sync_ms, Path(folder)))
        raise SystemExit(done.returncode)


def syncs() -> tuple[int, int]:
    """Syncs so far, of this thread and of all; 0 without the library."""
    library = ctypes.CDLL(None)
    try:
        return int(library.syncs_here()), int(library.syncs_all())
    except AttributeError:
        return 0, 0
