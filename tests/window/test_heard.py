"""What is kept of the reports of partitions, against what is computed anew from all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.names import Source
from monitor.state.log import Counted, Progress
from monitor.window.heard import Heard

MODEL, CONFIG = "m", "as it is judged"
SOURCES = tuple(Source("t", number) for number in range(4))
STRANGER = Source("another", 0)

times = st.integers(-1, 8)
counted = st.none() | st.dictionaries(
    st.sampled_from([MODEL, "other"]),
    st.builds(
        Counted,
        st.sampled_from([CONFIG, "as it was"]),
        times,
        st.lists(st.integers(0, 8), max_size=2).map(lambda panes: tuple(sorted(panes))),
    ),
)
reports = st.lists(
    st.builds(
        Progress,
        source=st.sampled_from([*SOURCES, STRANGER]), applied=st.just(0), end=st.just(0), watermark=times,
        idle=st.booleans(), paused=st.just(""), observed=st.just(0), since=times, counted=counted,
    ),
    max_size=12,
)  # fmt: skip


def plain(told, model=MODEL):
    """The newest report of each partition that is counted as it is judged."""
    newest = {one.source: one for one in told if one.source in SOURCES}
    return {
        source: one
        for source, one in newest.items()
        if one.counted is None or one.counted.get(model, Counted("")).config == CONFIG
    }


def covers(one, start, end):
    own = (one.counted or {}).get(MODEL, Counted(""))
    return max(one.since, own.since) <= start and not any(start <= pane < end for pane in own.ahead)


@given(reports, st.data())
def test_it_agrees_with_all_reports_looked_at_anew(told, data):
    """However they came, and whatever was asked in between."""
    heard = Heard(MODEL, SOURCES, config=CONFIG)
    for cut in range(len(told)):
        heard.take(told[cut : cut + 1])
        if data.draw(st.booleans()):
            assert heard.partial(3, 5) == [s for s in heard if not covers(heard[s], 3, 5)]
            assert heard.mark <= heard.newest
    truth = plain(told)
    marks = [one.watermark for one in truth.values()]
    assert dict(heard) == truth
    assert heard.mark == min(marks, default=-1)
    assert heard.newest == max(marks, default=-1)
    assert heard.passed == (min(marks) if len(truth) == len(SOURCES) else -1)
    for start in range(9):
        for end in range(start + 1, 10):
            assert set(heard.partial(start, end)) == {s for s in truth if not covers(truth[s], start, end)}


def test_without_a_configuration_all_are_taken():
    """Who replays a log counts it as it judges it."""
    one = Progress(SOURCES[0], 0, 0, 5, idle=False, paused="", observed=0, counted={MODEL: Counted("any")})
    heard = Heard(MODEL, SOURCES, config=None)
    heard.take([one])
    assert heard == {SOURCES[0]: one}
