from __future__ import annotations

import logging

import pytest

from edge_sdk.errors import StorageError
from edge_sdk.fleet.audit_news import AuditNews
from edge_sdk.fleet.audits import MOST_CHANCES
from edge_sdk.store.audits import AuditCounts

ONE, TWO = (AuditCounts(0.5, 3),), (AuditCounts(0.5, 4),)


def test_counts_are_news_until_a_report_with_them_is_taken() -> None:
    now, known = [0.0], [ONE]
    news = AuditNews(lambda: known[0], lambda: now[0])
    assert news.next(1000) == (None, 0) and news.due
    news.count()
    assert not news.due
    assert news.next(10) == (None, 0)  # no room
    assert news.next(1000)[0] == ONE
    assert news.next(1000)[0] == ONE  # the reply was lost
    news.taken()
    assert news.next(1000) == (None, 0)
    news.taken()
    now[0], known[0] = 86_400.0, TWO
    assert news.due
    news.count()
    assert news.next(1000)[0] == TWO


def test_what_cannot_be_read_or_is_too_much_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> tuple[AuditCounts, ...]:
        raise StorageError("the disk is gone")

    many = [AuditCounts((number + 1) / 1000, 3) for number in range(MOST_CHANCES + 1)]
    for counts, said in ((broken, "the disk is gone"), (lambda: many, "there were 129 chances")):
        news = AuditNews(counts, lambda: 0.0)
        with caplog.at_level(logging.WARNING):
            news.count()
        assert said in caplog.text and not news.due
        assert news.next(10_000) == (None, 0)
