"""The page: what comes from elsewhere is text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.preview import page
from edge_sdk.preview.gauges import Gauge, Meter
from edge_sdk.preview.page import State
from edge_sdk.preview.visits import Visit
from edge_sdk.types import Answer, Origin, Reason

NOW = datetime.now(UTC)
ID = "0" * 31 + "1"


def visit(**values: object) -> Visit:
    given_values: dict[str, object] = {
        "key": ID, "best": ID, "began_at": NOW, "length_s": 6.4, "frames": 14, "label": "fox", "confidence": 0.9,
        "device": "cat", "device_confidence": 0.4, "cloud": "", "waits": False, "private": False, "has_picture": True,
    }  # fmt: skip
    return Visit(**{**given_values, **values})  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Collects tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(min_size=1))
def test_text_of_others_makes_no_tags(text: str) -> None:
    answer = Answer(ID, NOW, "", text, 0.5, Origin.DEVICE, True, Reason.CONFIDENT)
    parts = {
        "state": page.state(State("away", text)),
        "said": page.said(answer, UTC),
        "visits": page.visits([visit(label=text, device=text, cloud=text)], UTC, no_cloud=False),
        "budgets": page.budgets([Meter(text, text, text, 0.95)]),
        "health": page.health([Gauge(text, text, True)]),
    }
    plain = {
        "state": page.state(State("away", "x")),
        "said": page.said(Answer(ID, NOW, "", "x", 0.5, Origin.DEVICE, True, Reason.CONFIDENT), UTC),
        "visits": page.visits([visit(label="x", device="x", cloud="x")], UTC, no_cloud=False),
        "budgets": page.budgets([Meter("x", "x", "x", 0.95)]),
        "health": page.health([Gauge("x", "x", True)]),
    }
    whole = page.page(text, parts, (640, 480), hides=False)
    assert Tags(whole).tags == Tags(page.page("x", plain, (640, 480), hides=False)).tags


def test_no_inline_style_or_script() -> None:
    parts = {name: "" for name in ("state", "said", "visits", "budgets", "health")}
    for text in (page.page("cam", parts, (640, 480), hides=True), page.door("cam", wrong=True), page.opened("cam")):
        assert "style=" not in text and "<style" not in text and "onload" not in text
        assert "<script>" not in text and "//" not in text.replace("http://www.w3.org", "")


def test_a_visit_tells_who_said_what() -> None:
    text = Tags(page.visits([visit(cloud="fox")], UTC, no_cloud=False)).text
    assert "fox 90%" in text and "device: cat 40%" in text and "cloud: fox" in text and "14 frames in 6 s" in text
    assert "the cloud is asked" in Tags(page.visits([visit(waits=True)], UTC, no_cloud=False)).text
    assert "no cloud is named" in Tags(page.visits([visit(waits=True)], UTC, no_cloud=True)).text


def test_what_is_never_stored_has_no_picture_on_the_page() -> None:
    text = page.visits([visit(private=True)], UTC, no_cloud=False)
    assert "<img" not in text and "never stored" in text
    assert "<img" not in page.visits([visit(has_picture=False)], UTC, no_cloud=False)


def test_another_day_has_its_date() -> None:
    assert "2020" in page.visits([visit(began_at=NOW - timedelta(days=1500) * 1.5)], UTC, no_cloud=False)


def test_nothing_yet() -> None:
    assert "None yet" in page.visits([], UTC, no_cloud=False)
    assert "None is set" in page.budgets([])
    assert "Nothing was looked at" in page.said(None, UTC)
