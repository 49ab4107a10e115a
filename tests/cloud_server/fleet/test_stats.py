from __future__ import annotations

from cloud_server.fleet.stats import Stats


def test_a_summary_counts_since_the_last_one() -> None:
    stats = Stats()
    for latency_ms in range(1, 101):
        stats.count_answer(latency_ms / 1000)
    stats.count_batch(60)
    stats.count_batch(40)
    stats.repeats += 1
    summary = stats.take()
    assert (summary.frames, summary.batches, summary.repeats, summary.failures) == (100, 2, 1, 0)
    assert str(summary) == (
        "100 frames in 2 batches (mean 50.0), 1 repeats, 0 failures, 0 calls refused, p50 50.5 ms, p95 95.0 ms"
    )
    assert stats.take().frames == 0
    assert str(stats.take()).endswith("p50 0.0 ms, p95 0.0 ms")
    assert str(stats.total()) == str(summary)  # the line at the end tells of all frames


def test_a_fleet_that_is_refused_is_worth_a_line_and_totals_go_on() -> None:
    stats = Stats()
    assert not stats.take()
    stats.refusals += 1
    assert stats.take()
    stats.count_failure("OVERLOADED")
    assert stats.take().failures == 1
    assert not stats.take()
    assert (stats.total().refusals, stats.total().failures) == (1, 1)
