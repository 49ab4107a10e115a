"""Place and season on the device: before the exit decision, and in the cloud's answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import EdgeClassifier, Frame, Place, Preferences
from edge_sdk.errors import ConfigError
from edge_sdk.link.transport import Reply, ServerInfo
from edge_sdk.model.bundle import Bundle, open_bundle, write_policy, write_priors
from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import Box, ClassPrior, PriorRule, Priors
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeClock, FakeRuntime, FakeTransport, write_fake_bundle
from edge_sdk.types import Image, Origin, Reason

LABELS = ("fox", "marmot")
SUMMER = (0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0)
TABLE = Priors(
    regions={"alps": (Box(44, 5, 48, 16),)}, classes={"fox": ClassPrior(), "marmot": ClassPrior(months=SUMMER)}
)
BERNINA = Place(46.4, 9.9)


def marmots(pixels: Image) -> tuple[float, float]:
    return 0.0, 1.0


def bundle_in(folder: Path, rule: PriorRule | None) -> Bundle:
    written = write_fake_bundle(folder / "bundle", LABELS, logits=marmots)
    write_priors(written.path, TABLE)
    write_policy(written.path, Policy(threshold=0.9, priors=rule))
    return open_bundle(written.path)


def taken(month: int, note: str = "") -> Frame:
    return Frame(np.zeros((32, 32, 3), np.uint8), datetime(2026, month, 1, tzinfo=UTC), note=note)


def test_the_month_decides_what_is_sure(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path, PriorRule(floor=0.01))
    with EdgeClassifier(bundle, place=BERNINA, state_dir=tmp_path / "state", runtime=FakeRuntime(marmots)) as edge:
        summer, winter, untimed = edge.classify(taken(7)), edge.classify(taken(1)), edge.classify(taken(1, "no clock"))
        assert (summer.label, summer.final) == ("marmot", False)
        assert (winter.label, winter.final) == ("fox", True)
        assert untimed.label == "marmot"
        assert summer.confidence > untimed.confidence
        entry = edge.journal.entry(winter.frame_id)
        assert entry is not None
        assert entry.top_k[0][0] == "fox"


def test_a_clock_that_was_not_set_tells_no_month(tmp_path: Path) -> None:
    boot = datetime(1970, 1, 1, tzinfo=UTC)
    settings = {"place": BERNINA, "runtime": FakeRuntime(marmots), "clock": FakeClock(boot.timestamp())}
    with EdgeClassifier(bundle_in(tmp_path, PriorRule()), state_dir=tmp_path / "state", **settings) as edge:  # type: ignore[arg-type]
        assert edge.classify(Frame(np.zeros((32, 32, 3), np.uint8), boot)).label == "marmot"


def test_without_a_place_nothing_is_expected_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = bundle_in(tmp_path, PriorRule())
    with EdgeClassifier(bundle, state_dir=tmp_path / "state", runtime=FakeRuntime(marmots)) as edge:
        assert edge.classify(taken(1)).label == "marmot"
    assert "without a place they do not count" in caplog.text


@pytest.mark.parametrize(
    ("rule", "place", "said"),
    [(None, BERNINA, "no calibrated priors"), (PriorRule(), Place(0, 0), "in no region of priors.json (alps)")],
)
def test_a_place_that_does_not_count_is_said(
    rule: PriorRule | None, place: Place, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"place": place, "runtime": FakeRuntime(marmots)}
    with EdgeClassifier(bundle_in(tmp_path, rule), state_dir=tmp_path / "state", **settings) as edge:  # type: ignore[arg-type]
        assert edge.classify(taken(1)).label == "marmot"
    assert said in caplog.text


def test_a_place_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path, PriorRule())
    with pytest.raises(ConfigError, match="as a region of"):
        EdgeClassifier(bundle, place="narnia", state_dir=tmp_path / "state", runtime=FakeRuntime(marmots))
    with pytest.raises(ConfigError, match="expected place as a Place or the name of a region; got 46"):
        EdgeClassifier(bundle, place=46, state_dir=tmp_path / "state", runtime=FakeRuntime(marmots))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cloud", "month", "note", "said"),
    [(1.0, 1, "", "fox"), (1.0, 7, "", "marmot"), (0.0, 1, "", "marmot"), (1.0, 1, "no clock", "marmot")],
)
def test_the_clouds_answer_is_given_place_and_season_too(
    cloud: float, month: int, note: str, said: str, tmp_path: Path
) -> None:
    def script(item: SpoolItem, server: ServerInfo) -> Reply:
        return Reply(item.frame_id, "marmot", 0.9, (0.05, 0.05, 0.9), 1, 1, server)

    bundle = bundle_in(tmp_path, PriorRule(strength=0.0, cloud=cloud))
    transport = FakeTransport(("wolf", "fox", "marmot"), script)
    with EdgeClassifier(
        bundle,
        cloud="127.0.0.1:1",
        place=BERNINA,
        state_dir=tmp_path / "state",
        runtime=FakeRuntime(marmots),
        transport=transport,
    ) as edge:
        answer = edge.classify(taken(month, note), wait_s=30)
        assert (answer.origin, answer.label) == (Origin.CLOUD, said)
    assert msgspec.json.decode((bundle.path / "priors.json").read_bytes(), type=Priors) == TABLE


def test_a_rare_private_class_stays_private(tmp_path: Path) -> None:
    def perhaps(pixels: Image) -> tuple[float, float]:
        return 0.8, 0.0  # marmots 0.31, which winter takes to almost nothing

    written = write_fake_bundle(tmp_path / "bundle", LABELS, logits=perhaps)
    write_priors(written.path, TABLE)
    write_policy(written.path, Policy(threshold=0.999, priors=PriorRule()))
    winter = Frame(np.zeros((48, 64, 3), np.uint8), datetime(2026, 1, 10, tzinfo=UTC))
    for wants, reason in ((Preferences(never_upload=("marmot",)), Reason.PRIVATE), (Preferences(), Reason.UNSURE)):
        with EdgeClassifier(
            open_bundle(written.path),
            state_dir=tmp_path / reason.name,
            runtime=FakeRuntime(perhaps),
            place=BERNINA,
            preferences=wants,
            clock=FakeClock(wall_s=winter.captured_at.timestamp()),
        ) as edge:
            assert edge.classify(winter).reason is reason
