from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from monitor import metrics
from monitor.family import Family
from monitor.metrics import CATALOGUE, SERIES_SUPPRESSED_TOTAL
from monitor.names import Source
from monitor.verdict import SegmentVerdict, State
from monitor.view import ModelView
from monitor.web.exposition import PER_FEATURE, Exposition
from monitor.web.series import Encoder, number
from monitor.web.settings import PerFeature, WebSettings
from tests.web.view import HOSTILE, NOW, a_test, blind, calm, drifting, hostile, new, plan, verdict, view


def samples(exposition: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parsed by prometheus_client: (name, sorted labels) → value."""
    found = {}
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(exposition: bytes, family: Family, **labels: str) -> float:
    return samples(exposition)[family.name, tuple(sorted(labels.items()))]


def per_feature(exposition: bytes) -> set[tuple[str, str, str]]:
    """(family, model, feature) of every per-feature series."""
    names = {family.name for family in PER_FEATURE}
    return {
        (name, dict(labels)["model"], dict(labels)["feature"])
        for name, labels in samples(exposition)
        if name in names
    }


def features(exposition: bytes, model: str) -> set[str]:
    return {feature for _, name, feature in per_feature(exposition) if name == model}


def wide(
    count: int, *, shift: int = 0, end: int = NOW, state: State = State.OK, model: str = "wide"
) -> ModelView:
    """A model of `count` features; the worst is number `shift`, then the following ones."""
    order = [f"f{(shift + index) % count:03}" for index in range(count)]
    tests = tuple(a_test(name, "psi", 3.0 - 2.5 * index / count) for index, name in enumerate(order))
    one = verdict(model, "1h", tests, state=state, detail="")
    return ModelView(
        plan=plan(model, (), windows=("1h",)), reference=None, latest={"1h": replace(one, end=end)}
    )


def test_every_series_is_in_the_catalogue_with_its_labels():
    """Nothing is exported that the closed catalogue does not name, and no label more."""
    found = samples(Exposition(WebSettings()).render(view()))
    ours = {
        (name, tuple(key for key, _ in labels)) for name, labels in found if name.startswith("driftline_")
    }
    assert ours
    for name, labels in ours:
        assert set(labels) == set(CATALOGUE[name]), name


def test_where_kernels_run_and_how_long_they_took_to_be_ready():
    """A device is called what it calls itself, hyphens and all."""
    here = replace(view(), backend="cupy-NVIDIA H100-SXM 80GB", warm_seconds=1.25)
    text = Exposition(WebSettings()).render(here)
    assert value(text, metrics.KERNEL_BACKEND_INFO, backend="cupy", device="NVIDIA H100-SXM 80GB") == 1
    assert value(text, metrics.KERNEL_WARM_SECONDS) == 1.25
    text = Exposition(WebSettings()).render(view())
    assert value(text, metrics.KERNEL_BACKEND_INFO, backend="numba", device="cpu") == 1


def test_assigned_partitions_are_those_that_this_process_reads():
    """Every replica knows how far all partitions are; those of them that it reads are its own, or none."""
    for reads in (0, 2):
        here = replace(view(), reads=tuple(Source("predictions", number) for number in range(reads)))
        text = Exposition(WebSettings()).render(here)
        assert value(text, metrics.ASSIGNED_PARTITIONS, topic="predictions") == reads
        assert value(text, metrics.CONSUMER_LAG_RECORDS, topic="predictions", partition="0") == 12


def test_scores_are_those_of_the_latest_verdict():
    """PSI and KS are the verdict's; the missing ratio is counted from the window itself."""
    model = drifting()
    text = Exposition(WebSettings()).render(view(model))
    labels = {"model": "churn", "feature": "tenure_months", "window": "1h"}
    scores = model.latest["1h"].scores["tenure_months"]
    assert value(text, metrics.FEATURE_PSI, **labels) == scores["psi"]
    assert value(text, metrics.FEATURE_KS_STATISTIC, **labels) == scores["ks"]
    window = model.windows["1h"]
    ratio = value(text, metrics.FEATURE_MISSING_RATIO, model="churn", feature="age", window="1h")
    assert ratio == window.counts[0] / window.rows == pytest.approx(0.57, abs=1e-4)


def test_only_drift_verdicts_name_drifted_features():
    """A feature with x > 1 in a window that is not drift is not exported as drifted."""
    text = Exposition(WebSettings()).render(view(drifting(), calm("basket", state=State.WARN)))
    assert value(text, metrics.FEATURE_DRIFTED, model="churn", feature="age") == 1
    assert value(text, metrics.FEATURE_DRIFTED, model="churn", feature="device") == 0
    assert value(text, metrics.FEATURE_DRIFTED, model="basket", feature="amount_eur") == 0
    assert value(text, metrics.MODEL_DRIFTED_FEATURES, model="churn") == 3
    assert value(text, metrics.MODEL_MONITORED_FEATURES, model="churn") == 11
    assert value(text, metrics.MODEL_DRIFTED_FEATURES, model="basket") == 0


def test_a_model_is_blind_when_the_evaluate_loop_says_so():
    """The view holds since when; -1 is a model that sees."""
    for since, expected in ((-1, 0), (0, 1), (NOW, 1)):
        text = Exposition(WebSettings()).render(view(replace(blind(), blind_since=since)))
        assert value(text, metrics.MODEL_BLIND, model="pricing") == expected


def test_firing_incidents_are_counted_by_severity():
    """Both severities exist at 0, and only firing incidents count."""
    text = Exposition(WebSettings()).render(view(drifting(), calm()))
    assert value(text, metrics.ALERTS_FIRING, model="churn", severity="critical") == 1
    assert value(text, metrics.ALERTS_FIRING, model="churn", severity="warning") == 0
    assert value(text, metrics.ALERTS_FIRING, model="fraud", severity="critical") == 0


def test_times_are_seconds_and_unknown_ones_are_absent():
    """Milliseconds become base units; what is not known has no series."""
    text = Exposition(WebSettings()).render(view(drifting(), new()))
    found = samples(text)
    assert value(text, metrics.WINDOW_LAST_CLOSE_TIMESTAMP_SECONDS, model="churn", window="1h") == NOW / 1000
    assert (metrics.WATERMARK_TIMESTAMP_SECONDS.name, (("model", "ranking"),)) not in found
    empty = replace(view(), checkpoint_last=-1)
    assert not any(
        "checkpoint" in name and "stage" not in name
        for name, _ in samples(Exposition(WebSettings()).render(empty))
        if name.startswith("driftline_checkpoint")
    )


def test_the_reference_has_one_series_per_model():
    """A second model version in the window must not make the join in PromQL many-to-many."""
    model = drifting()
    mixed = replace(model.latest["1h"], versions={"7": 10, "8": 48_200}, end=NOW + 1)
    text = Exposition(WebSettings()).render(view(replace(model, latest={**model.latest, "1h": mixed})))
    infos = [labels for name, labels in samples(text) if name == metrics.REFERENCE_INFO.name]
    assert infos == [(("model", "churn"), ("model_version", "8"), ("reference", "train-2026-10"))]


def test_top_exports_the_worst_features_only():
    """With top the worst k have series; with all everything has; with none nothing."""
    model = wide(50)
    assert features(Exposition(WebSettings(top_k=5)).render(view(model)), "wide") == {
        f"f{i:03}" for i in range(5)
    }
    assert (
        len(features(Exposition(WebSettings(per_feature=PerFeature.ALL)).render(view(model)), "wide")) == 50
    )
    assert features(Exposition(WebSettings(per_feature=PerFeature.NONE)).render(view(model)), "wide") == set()


def test_drifted_features_are_exported_beyond_top_k():
    """Every drifted feature has its series, however many there are."""
    text = Exposition(WebSettings(top_k=2)).render(view(wide(20, state=State.DRIFT)))
    drifted = {f"f{index:03}" for index in range(20) if 3.0 - 2.5 * index / 20 > 1}
    assert features(text, "wide") == drifted


def test_a_feature_stays_one_window_longer():
    """What leaves the worst is exported for one more window, then not; scrapes in between do not count."""
    exposition = Exposition(WebSettings(top_k=3))
    first, second, third = {"f000", "f001", "f002"}, {"f010", "f011", "f012"}, {"f020", "f021", "f022"}
    assert features(exposition.render(view(wide(50))), "wide") == first
    for _ in range(3):
        now = exposition.render(view(wide(50, shift=10, end=NOW + 1)))
        assert features(now, "wide") == first | second
    assert features(exposition.render(view(wide(50, shift=20, end=NOW + 2))), "wide") == second | third


def test_what_is_left_out_is_counted_once_per_window():
    """The suppressed series grow with every new verdict, not with every scrape."""
    exposition = Exposition(WebSettings(top_k=5))
    SERIES_SUPPRESSED_TOTAL.labels("wide").inc(0)
    counter = SERIES_SUPPRESSED_TOTAL.labels("wide")._value
    before = counter.get()
    for _ in range(3):
        exposition.render(view(wide(50)))
    assert counter.get() - before == 45 * 3
    exposition.render(view(wide(50, end=NOW + 1)))
    assert counter.get() - before == 2 * 45 * 3


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    top_k=st.integers(0, 30),
    limit=st.integers(0, 200),
    mode=st.sampled_from(PerFeature),
    state=st.sampled_from([State.OK, State.DRIFT]),
)
def test_the_budget_of_series_is_kept(sizes, top_k, limit, mode, state):
    """Whatever the models, per-feature series stay within max_series, and drifted ones come first."""
    models = [wide(size, model=f"m{index}", state=state) for index, size in enumerate(sizes)]
    text = Exposition(WebSettings(per_feature=mode, top_k=top_k, max_series=limit)).render(view(*models))
    shown = per_feature(text)
    assert len(shown) <= limit
    flags = {
        dict(labels)["feature"] + dict(labels)["model"]: flag
        for (name, labels), flag in samples(text).items()
        if name == metrics.FEATURE_DRIFTED.name
    }
    quiet = [key for key, flag in flags.items() if not flag]
    drifted = sum(test.x > 1 for model in models for test in model.latest["1h"].tests)
    if quiet and state is State.DRIFT:
        assert sum(flag == 1 for flag in flags.values()) == drifted


def test_a_model_that_is_gone_leaves_no_series():
    """Series are those of the current view alone."""
    exposition = Exposition(WebSettings())
    assert b'model="churn"' in exposition.render(view(drifting(), calm()))
    after = exposition.render(view(calm()), frozenset(family.name for family in metrics.VIEW_FAMILIES))
    assert b'model="churn"' not in after
    assert b'model="fraud"' in after


def test_hostile_names_survive_the_text_format():
    """A feature named with quotes, backslashes and line ends is read back as it was."""
    assert features(Exposition(WebSettings()).render(view(hostile())), "upload") == {HOSTILE}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.floats())
def test_any_label_and_value_are_read_back(label, amount):
    """The hand encoder agrees with prometheus_client's parser on every label and every double."""
    family = Family("driftline_x", "gauge", "A \\ and\nanother line.", ("one", "two"))
    ((read,),) = [
        list(family.samples)
        for family in text_string_to_metric_families(
            Encoder(10).encode(family, [((label, "b"), amount)]).decode()
        )
    ]
    assert read.labels == {"one": label, "two": "b"}
    assert read.value == amount or (read.value != read.value and amount != amount)


def test_numbers_keep_their_last_digit():
    """The shortest digits that give the same double; infinities as Go writes them."""
    assert [number(one) for one in (0.1, 1, float("inf"), float("-inf"), float("nan"))] == [
        b"0.1", b"1.0", b"+Inf", b"-Inf", b"NaN",
    ]  # fmt: skip


def test_prefixes_are_forgotten_before_they_fill_memory():
    """The encoder holds no more children than its limit and one exposition."""
    encoder = Encoder(100)
    family = Family("driftline_x", "gauge", "x", ("one",))
    for turn in range(50):
        encoder.encode(family, [((str(turn * 10 + index),), 1.0) for index in range(10)])
    assert len(encoder._prefixes) <= 110


def test_a_scrape_has_type_and_compression(site):
    """The content type is the text format's, gzip when asked for, and both bodies are equal in kind."""
    plain = site.ask("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    packed = site.ask("/metrics", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    names = {name for name, _ in samples(plain.body)}
    assert {name for name, _ in samples(gzip.decompress(packed.body))} == names


def test_a_scrape_can_be_restricted_by_name(site):
    """?name[]= gives only the families named, ours and the counted ones alike."""
    body = site.ask("/metrics?name[]=driftline_ready&name[]=process_open_fds").body
    assert {name for name, _ in samples(body)} == {"driftline_ready", "process_open_fds"}


def test_segments_that_moved_furthest_have_series():
    """Within `top_k` of each model and window; those that could not be judged have none, and none has any."""
    model = wide(3)
    rows = [
        SegmentVerdict(f"country=c{at}", State.OK, None, "", 100, at / 10, (a_test("f000", "psi", at / 10),))
        for at in range(30)
    ]
    rows.append(SegmentVerdict("country=missing", State.UNKNOWN, None, "", 0, 0.0))
    latest = {"1h": replace(model.latest["1h"], segments=tuple(rows))}
    for settings_, expected in (
        (WebSettings(top_k=5), {f"country=c{at}": at / 10 for at in range(25, 30)}),
        (WebSettings(per_feature=PerFeature.NONE), {}),
    ):
        found = samples(Exposition(settings_).render(view(replace(model, latest=latest))))
        name = metrics.SEGMENT_STATISTIC.name
        shown = {dict(labels)["segment"]: value_ for (own, labels), value_ in found.items() if own == name}
        assert shown == expected
