"""Forked children: a clear error at use, and nothing of the parent's is touched. Each test forks in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAD = """
import gc, multiprocessing, os, sys
from pathlib import Path
from datetime import UTC, datetime
import numpy as np
from edge_sdk import EdgeClassifier, StateError
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.durable.lock import FolderLock
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.store import Store
from edge_sdk.types import new_frame_id

folder = Path(sys.argv[1])

def item():
    return SpoolItem(new_frame_id(), b"x" * 2000, np.array([0.5, 0.5], np.float32), 0.5, datetime.now(UTC), "test")

def refused(use):
    try:
        use()
    except StateError as error:
        return f"process {os.getppid()}, which opened it" in str(error)
    return False

def in_child(use):
    "The child's exit code; it ends as a program does: atexit, collection, all."
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        right = use()
    except BaseException as error:
        print(repr(error), flush=True)
        right = False
    sys.exit(0 if right else 1)
"""


def run(tmp_path: Path, program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(program), str(tmp_path), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_child_may_not_use_the_ledger_and_its_end_keeps_the_parents_charges(tmp_path: Path) -> None:
    """SQLite in the child believes that it holds the parent's locks: at its end it would take the log away."""
    run(
        tmp_path,
        """
        ledger = Ledger(folder / "ledger.db", budgets=[Budget(1000, 86_400.0)])
        assert ledger.try_spend(upload=100)
        def use():
            global ledger
            right = refused(lambda: ledger.try_spend(upload=1)) and refused(ledger.snapshot)
            ledger.close()
            del ledger
            gc.collect()
            return right
        assert in_child(use) == 0
        assert ledger.try_spend(upload=800)
        ledger.close()
        with Ledger(folder / "ledger.db", budgets=[Budget(1000, 86_400.0)]) as again:
            assert again.states()[0].spent == 900, again.states()
        assert not list(folder.glob("*.damaged*"))
        """,
    )


def test_a_child_may_not_use_the_store_and_its_end_keeps_the_parents_frames(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        store = Store(folder)
        store.spool.put(item())
        def use():
            global store
            right = all(refused(one) for one in (
                lambda: store.spool.put(item()), store.spool.next, store.flush, lambda: list(store.journal.query()),
            ))
            store.close()
            del store
            gc.collect()
            return right
        assert in_child(use) == 0
        store.spool.put(item())
        store.close()
        with Store(folder) as again:
            assert len(again.spool) == 2
        assert not list(folder.glob("*.damaged*"))
        """,
    )


def test_a_child_that_outlives_its_parent_does_not_hold_the_folder(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        lock = FolderLock(folder, "a state folder")
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(theirs)
            lock.close()
            os.read(ours, 1)  # until the parent has ended
            os._exit(0)
        os.close(ours)
        lock.close()
        FolderLock(folder, "a state folder").close()
        os.close(theirs)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
    )


@pytest.mark.parametrize("how", ["os.fork", "multiprocessing"])
def test_children_of_a_linked_device_end_and_the_link_goes_on(tmp_path: Path, how: str) -> None:
    """Many children, while gRPC's threads are at work: some used to end with a segmentation fault."""
    run(
        tmp_path,
        """
        from edge_sdk import Security, open_bundle
        labels = open_bundle("trailcam").manifest.labels
        server = '''
        import sys
        from edge_sdk.testing.server import ScriptedServer, answer
        labels = tuple(sys.argv[1:])
        with ScriptedServer(lambda request, _: answer(request, labels[0]), labels=labels) as server:
            print(server.target, flush=True)
            sys.stdin.read()
        '''
        import subprocess, textwrap
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(server), *labels],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        target = process.stdout.readline().strip()
        picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
        with EdgeClassifier(cloud=target, state_dir=folder, threshold=1.01) as edge:
            def use():
                with edge:  # its end does nothing
                    return all(refused(one) for one in (
                        lambda: edge.classify(picture), lambda: edge.classify(picture, wait_s=5), lambda: edge.usage,
                        lambda: edge.journal, lambda: list(edge.late_answers(wait_s=5)), lambda: edge.waiting,
                    ))
            def child_of_multiprocessing():
                child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(0 if use() else 1))
                child.start()
                child.join()
                return child.exitcode
            codes = []
            for _ in range(8):
                assert edge.classify(picture, wait_s=300).origin == "cloud"
                codes.append(in_child(use) if sys.argv[2] == "os.fork" else child_of_multiprocessing())
            assert codes == [0] * 8, codes
            assert edge.classify(picture, wait_s=300).origin == "cloud"
        process.stdin.close()
        process.wait()
        """,
        how,
    )
