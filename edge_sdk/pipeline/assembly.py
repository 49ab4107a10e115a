"""Opening the parts of an `EdgeClassifier`, in the order in which they need one another, and closing them again."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.budget.ledger import Ledger
from edge_sdk.camera.detector import Detector
from edge_sdk.config import PowerModel, default_state_dir
from edge_sdk.durable.ballast import Ballast
from edge_sdk.durable.forks import without_grpc_handlers
from edge_sdk.errors import StorageError
from edge_sdk.fleet.health import HealthReader
from edge_sdk.fleet.remote import RemoteStore
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.bundle_detector import BundleDetector
from edge_sdk.model.little import LittleModel
from edge_sdk.model.nothing import emptiness_by
from edge_sdk.model.policy import EventRule, ExitPolicy, Policy, event_policy
from edge_sdk.model.priors import PRIORS_FILE, PlacePrior
from edge_sdk.model.taxonomy import Naming
from edge_sdk.pipeline.admission import Admission
from edge_sdk.pipeline.answers import Answers
from edge_sdk.pipeline.audit import FILE as AUDIT_KEY
from edge_sdk.pipeline.audit import AuditDraw, audit_key
from edge_sdk.pipeline.event_desk import EventDesk
from edge_sdk.pipeline.event_news import EventNews
from edge_sdk.pipeline.event_words import EventWords
from edge_sdk.pipeline.events import Events
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.pipeline.remote import RemoteLayer
from edge_sdk.pipeline.settings import Settings
from edge_sdk.pipeline.throttle import Throttle
from edge_sdk.store.audits import AuditCounts
from edge_sdk.store.store import Store
from edge_sdk.types import View

if TYPE_CHECKING:
    from edge_sdk.fleet.reporter import Reporter
    from edge_sdk.link.uplink import Uplink

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides where frames and events go.

    Attributes:
        frames: which frames exit that were seen whole.
        regions: which do of which a region was looked at.
        still: which do that a motion gate admitted though nothing moved; None: as those seen whole.
        events: which events do.
        audits: which confident frames are sent all the same; None: none are.
        event_audits: which confident events are, where they are answered as a whole.
    """

    frames: ExitPolicy
    regions: ExitPolicy
    still: ExitPolicy | None
    events: ExitPolicy
    audits: AuditDraw | None
    event_audits: AuditDraw | None

    def exits(self, near: bool) -> ExitPolicy:
        """Which frames exit of which a region was looked at (`near`), or that were seen whole."""
        return self.regions if near else self.frames


@dataclass(frozen=True, slots=True)
class Parts:
    """What an `EdgeClassifier` works with.

    Attributes:
        bundle: the little model's bundle.
        model: the little model.
        rules: decide where frames and events go.
        prior: what can be expected where the camera stands; None: nothing is known of it.
        naming: gives each answer the name that is sure enough.
        ledger: the budgets, and what was spent.
        throttle: runs the little model within the device's budgets.
        admission: decides which unsure frames wait for the cloud.
        store: what waits, and what was answered.
        version: the bundle's name, version and label set, as the store writes them with each frame.
        answers: writes down what is said of frames.
        events: puts frames together to events.
        desk: answers events.
        event_news: takes what is said of events to the application.
        late: takes late answers to the application.
        settings: the arguments of `EdgeClassifier`, and over them the server's as far as they are followed.
        remote: the server's settings.
        reporter: tells the server of this device; None: it is told nothing.
        link: the way to the cloud; None where no cloud was named.
        state: folder of what survives a restart.
        opened: closes all but the link.
    """

    bundle: Bundle
    model: LittleModel
    rules: Rules
    prior: PlacePrior | None
    naming: Naming
    ledger: Ledger
    throttle: Throttle
    admission: Admission
    store: Store
    version: str
    answers: Answers
    events: Events
    desk: EventDesk
    event_news: EventNews
    late: LateAnswers
    settings: Settings
    detector: Detector | None
    remote: RemoteLayer
    reporter: Reporter | None
    link: Uplink | None
    state: Path
    opened: ExitStack


def assemble(settings: Settings) -> Parts:
    """Open all parts, and start the link.

    Raises:
        BundleError, RuntimeMissing, ConfigError, StorageError: as in `EdgeClassifier`; nothing stays open.
    """
    bundle = settings.bundle if isinstance(settings.bundle, Bundle) else open_bundle(settings.bundle)
    policy, labels = bundle.policy, bundle.manifest.labels
    new_exits(settings, bundle)  # the arguments alone can be used
    prior, naming = _prior(settings, bundle), Naming(bundle.taxonomy, policy.rollup)
    power = settings.power or PowerModel(0.0)
    clock, version = settings.clock, bundle.manifest.answers_as
    late = LateAnswers(settings.on_answer)
    with ExitStack() as opened:
        model = opened.enter_context(LittleModel(bundle, threads=settings.threads, runtime=settings.runtime))
        detector = _detector(settings)
        state = _state_folder(settings.state_dir, bundle.manifest.name)
        remote = RemoteLayer(
            RemoteStore(settings.remote, state, settings.security, ", ".join(settings.servers), clock.wall_s),
            lambda wanted: new_exits(wanted, bundle),
        )
        settings = remote.over(settings)
        rules = new_rules(settings, bundle, state)
        ballast = Ballast(state / "ballast")
        ballast.keep()
        store = opened.enter_context(
            Store(
                state,
                settings.storage,
                spool_bytes=settings.spool_bytes,
                labels=labels,
                label_set=bundle.manifest.label_set,
                emptiness=emptiness_by(labels),
                ballast=ballast,
                clock=clock.wall_s,
                steady=clock.steady_s,
                boot_id=clock.boot_id(),
            )
        )
        ledger = opened.enter_context(
            Ledger(
                state / "ledger.db",
                budgets=settings.budgets,
                big_macs=policy.big_macs,
                clock=clock.wall_s,
                steady=clock.steady_s,
                boot_id=clock.boot_id(),
                ballast=ballast,
                repeats_s=settings.storage.repeats_s,
            )
        )
        opened.callback(store.flush)  # before the ledger closes: it counts what is on the disk
        throttle = Throttle(model, ledger, power, None if settings.view is None else View(settings.view))
        rule = settings.storage.archive_rule
        admission = Admission(
            policy,
            ledger,
            settings.preferences,
            power,
            None if settings.send is None else View(settings.send),
            settings.blur,
            crop=rule is not None and rule.crop,
        )
        event_news = EventNews(settings.on_event)
        near_ensemble = policy.of_look(near=True).ensemble
        of_events = policy.events or EventRule(
            ensemble=near_ensemble if looks_near(settings, bundle) else policy.ensemble
        )
        words = EventWords(store, labels, of_events.ensemble, event_news, naming)
        answers = Answers(
            store, ledger, labels, policy.ensemble, late, words, prior, naming, near_ensemble=near_ensemble
        )
        events = Events(labels, settings.events, of_events.best, calibrated=policy.events is not None)
        desk = EventDesk(
            events,
            store,
            ledger,
            admission,
            answers,
            words,
            labels=labels,
            naming=naming,
            exits=rules.events,
            audits=rules.event_audits,
            temperature=of_events.temperature,
            model=version,
        )
        link, reporter = None, None
        if settings.servers:
            without_grpc_handlers()
            if settings.reports is not None:
                from edge_sdk.fleet.reporter import Reporter

                def audits() -> tuple[AuditCounts, ...]:
                    return store.journal.audit_counts(version) if (state / AUDIT_KEY).exists() else ()

                health = HealthReader(state, version, clock.wall_s, settings.health)
                reporter = Reporter(settings.reports, store, ledger, answers.account, health, state, remote, audits)
            from edge_sdk.link.uplink import Uplink

            link = Uplink(
                settings.servers,
                store.spool,
                ledger,
                labels,
                answers,
                settings.uplink,
                settings.security,
                worth=admission.may_leave,
                joules_per_byte=power.joules_per_byte,
                transport=settings.transport,
                reports=reporter,
                model=bundle.manifest.name,
            )
            remote.store.comes_from(partial(getattr, link, "target"))
            if reporter is not None:
                reporter.on_ask(link.wake_for_report)
            link.start()
        return Parts(
            bundle=bundle,
            model=model,
            rules=rules,
            prior=prior,
            naming=naming,
            ledger=ledger,
            throttle=throttle,
            admission=admission,
            store=store,
            version=version,
            answers=answers,
            events=events,
            desk=desk,
            event_news=event_news,
            late=late,
            settings=settings,
            detector=detector,
            remote=remote,
            reporter=reporter,
            link=link,
            state=state,
            opened=opened.pop_all(),
        )


def new_rules(settings: Settings, bundle: Bundle, state: Path) -> Rules:
    """The rules, as bundle and settings have them.

    Raises:
        ConfigError: as `new_exits`.
    """
    policy, share = bundle.policy, settings.preferences.audit
    of_events = event_policy(policy, near=looks_near(settings, bundle))
    key = audit_key(state) if share else b""
    return Rules(
        new_exits(settings, bundle),
        _exits(settings, bundle, policy.of_look(near=True)),
        None if policy.still is None else _exits(settings, bundle, policy.of_look(near=False, still=True)),
        _exits(settings, bundle, of_events),
        AuditDraw(policy, share, key) if share else None,
        AuditDraw(of_events, share, key) if share else None,
    )


def new_exits(settings: Settings, bundle: Bundle) -> ExitPolicy:
    """The rule for exits of frames seen whole, as bundle and settings have it.

    Raises:
        ConfigError: the threshold cannot be used, or a preference, the archive's rule or what is blurred names a class
            that is not the bundle's.
    """
    labels, rule = bundle.manifest.labels, settings.storage.archive_rule
    for named in (rule, settings.blur):
        if named is not None:
            named.check(labels)
    return _exits(settings, bundle, bundle.policy.of_look(near=False))


def _detector(settings: Settings) -> Detector | None:
    """The detector, opened where a bundle is named.

    Raises:
        BundleError: it is none of a detector, or cannot be run.
    """
    named = settings.detector
    if not isinstance(named, str | Path):
        return named
    return BundleDetector(named, threads=settings.threads, runtime=settings.runtime)


def _prior(settings: Settings, bundle: Bundle) -> PlacePrior | None:
    """The priors of the camera's place; a warning where place or priors are given without the other.

    Raises:
        ConfigError: the priors have no region of that name.
    """
    place, table, rule = settings.place, bundle.priors, bundle.policy.priors
    if place is None:
        if rule is not None:
            _log.warning("the bundle was calibrated with priors of place and season; without a place they do not count")
        return None
    if table is None or rule is None:
        _log.warning("the place does not count: the bundle has no calibrated priors (`edge-sdk calibrate --priors`)")
        return None
    prior = PlacePrior(table, rule, place)
    if prior.region is None and table.regions:
        _log.warning("the place lies in no region of %s (%s): it does not count", PRIORS_FILE, ", ".join(table.regions))
    return prior


def answers_events(settings: Settings, bundle: Bundle) -> bool:
    """Whether an event exits or offloads as a whole, of frames that `watch` gives to the model."""
    return settings.events.as_a_whole(gated=settings.gate is not None, calibrated=bundle.policy.events is not None)


def looks_near(settings: Settings, bundle: Bundle) -> bool:
    """Whether the region is looked at of frames that have one."""
    return View(bundle.manifest.view if settings.view is None else settings.view) is not View.FRAME


def _exits(settings: Settings, bundle: Bundle, policy: Policy) -> ExitPolicy:
    return ExitPolicy(
        policy,
        settings.threshold,
        settings.preferences,
        bundle.manifest.labels,
        archive=settings.storage.archive_rule,
        naming=Naming(bundle.taxonomy, bundle.policy.rollup),
    )


def _state_folder(given: str | Path | None, bundle: str) -> Path:
    folder = default_state_dir(bundle) if given is None else Path(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the state folder {folder}: {error}") from error
    return folder
