"""Opening the parts of an `EdgeClassifier`, in the order in which they need one another, and closing them again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import PowerModel, default_state_dir
from edge_sdk.durable.ballast import Ballast
from edge_sdk.errors import StorageError
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import ExitPolicy
from edge_sdk.pipeline.admission import Admission
from edge_sdk.pipeline.answers import Answers
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.pipeline.settings import Settings
from edge_sdk.pipeline.throttle import Throttle
from edge_sdk.store.journal import Journal
from edge_sdk.store.recovery import recover
from edge_sdk.store.spool import Spool

if TYPE_CHECKING:
    from edge_sdk.link.uplink import Uplink


@dataclass(frozen=True, slots=True)
class Parts:
    """What an `EdgeClassifier` works with.

    Attributes:
        bundle: the little model's bundle.
        model: the little model.
        exits: decides which frames exit.
        ledger: the budgets, and what was spent.
        throttle: runs the little model within the device's budgets.
        admission: decides which unsure frames wait for the cloud.
        journal: what was answered.
        spool: what waits.
        answers: writes down what is said of frames.
        late: takes late answers to the application.
        link: the way to the cloud; None where no cloud was named.
        opened: closes all but the link.
    """

    bundle: Bundle
    model: LittleModel
    exits: ExitPolicy
    ledger: Ledger
    throttle: Throttle
    admission: Admission
    journal: Journal
    spool: Spool
    answers: Answers
    late: LateAnswers
    link: Uplink | None
    opened: ExitStack


def assemble(settings: Settings) -> Parts:
    """Open all parts, and start the link.

    Raises:
        BundleError, RuntimeMissing, ConfigError, StorageError: as in `EdgeClassifier`; nothing stays open.
    """
    bundle = settings.bundle if isinstance(settings.bundle, Bundle) else open_bundle(settings.bundle)
    policy, labels = bundle.policy, bundle.manifest.labels
    exits = new_exits(settings, bundle)
    power = settings.power or PowerModel(0.0)
    keep, clock = settings.storage, settings.clock
    late = LateAnswers(settings.on_answer)
    with ExitStack() as opened:
        model = opened.enter_context(LittleModel(bundle, threads=settings.threads, runtime=settings.runtime))
        state = _state_folder(settings.state_dir, bundle.manifest.name)
        reserve = Ballast(state / "reserve")
        reserve.keep()
        ledger = opened.enter_context(
            Ledger(
                state / "ledger.db",
                budgets=settings.budgets,
                big_macs=policy.big_macs,
                clock=clock.wall_s,
                steady=clock.steady_s,
                boot_id=clock.boot_id(),
                reserve=reserve,
            )
        )
        throttle = Throttle(model, ledger, power)
        admission = Admission(policy, ledger, settings.preferences, power)
        journal = opened.enter_context(
            Journal(
                state / "journal.db",
                max_rows=keep.journal_rows,
                max_bytes=keep.journal_bytes,
                max_age_s=keep.journal_age_s,
                reserve=reserve,
            )
        )
        spool = opened.enter_context(
            Spool(state / "spool", max_bytes=settings.spool_bytes, max_age_s=keep.spool_age_s, reserve=reserve)
        )
        recover(spool, journal, labels)
        answers = Answers(journal, spool, ledger, labels, policy.ensemble, late)
        link = None
        if settings.cloud is not None:
            from edge_sdk.link.uplink import Uplink

            link = Uplink(
                settings.cloud,
                spool,
                ledger,
                labels,
                answers,
                settings.uplink,
                settings.security,
                worth=admission.may_leave,
                joules_per_byte=power.joules_per_byte,
                transport=settings.transport,
            )
            link.start()
        return Parts(
            bundle, model, exits, ledger, throttle, admission, journal, spool, answers, late, link, opened.pop_all()
        )


def new_exits(settings: Settings, bundle: Bundle) -> ExitPolicy:
    """The rule for exits, as bundle and settings have it.

    Raises:
        ConfigError: the threshold cannot be used, or a preference names a class that is not the bundle's.
    """
    return ExitPolicy(bundle.policy, settings.threshold, settings.preferences, bundle.manifest.labels)


def _state_folder(given: str | Path | None, bundle: str) -> Path:
    folder = default_state_dir(bundle) if given is None else Path(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the state folder {folder}: {error}") from error
    return folder
