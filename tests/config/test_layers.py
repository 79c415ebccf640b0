from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.errors import ConfigError
from tests.config.cases import HEAD, TAIL, with_model


def write(folder: Path, **files: str) -> list[str]:
    """Write one YAML file per keyword; their names in order."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return [str(folder / f"{name}.yaml") for name in files]


def test_maps_are_merged_and_lists_replaced(tmp_path: Path) -> None:
    """Later files win; what they do not name stays."""
    files = write(
        tmp_path,
        base=with_model(
            "features: {a: {kind: categorical, allowed: [x, y]}, b: {}}\nwindows: {1h: {size: 1h}}"
        ),
        over="models: {m: {features: {a: {allowed: [z]}}, windows: {1d: {size: 24h}}}}\nlog: {level: debug}\n",
    )
    settings = load(files, environ={})
    model = settings.models["m"]
    assert model.features["a"].allowed == ("z",)
    assert model.features["a"].kind == "categorical"
    assert list(model.features) == ["a", "b"]
    assert list(model.windows) == ["1h", "1d"]
    assert settings.log.level == "debug"


def test_null_removes_what_an_earlier_file_said(tmp_path: Path) -> None:
    """`key: null` in a later file takes the key away; alone, it is an error."""
    base, over = write(
        tmp_path, base=with_model("runbook: https://x.example"), over="models: {m: {runbook: null}}"
    )
    assert load([base, over], environ={}).models["m"].runbook == ""
    with pytest.raises(ConfigError, match="got nothing"):
        load(write(tmp_path, alone=with_model("runbook: null")), environ={})


def test_each_value_knows_its_file(tmp_path: Path) -> None:
    """Errors point into the file that holds the value, with that file's line."""
    files = write(tmp_path, base=HEAD + TAIL, over="models:\n  m:\n    budget: lots\n")
    with pytest.raises(ConfigError) as caught:
        load(files, environ={})
    assert f"--> {files[1]}:3:13" in str(caught.value)
    files = write(tmp_path, base=with_model("budget: lots"), over="models:\n  m:\n    clear_after: 0\n")
    with pytest.raises(ConfigError) as caught:
        load(files, environ={})
    assert [str(f.mark) for f in caught.value.findings if f.mark] == [  # type: ignore[attr-defined]
        f"{files[0]}:8:13",
        f"{files[1]}:3:18",
    ]


def test_errors_of_several_files_come_together(tmp_path: Path) -> None:
    """A file that cannot be parsed does not hide what is wrong with another."""
    files = write(tmp_path, one="a: [", two="b: {c: }}")
    with pytest.raises(ConfigError) as caught:
        load([*files, str(tmp_path / "none.yaml")], environ={})
    text = str(caught.value)
    assert all(part in text for part in (f"{files[0]}:", f"{files[1]}:", "none.yaml cannot be read"))


def test_stdin_and_repeated_files(tmp_path: Path) -> None:
    """`-` is stdin, also as a layer; the same file twice is a mistake."""
    (base,) = write(tmp_path, base=HEAD + TAIL)
    assert load([base, "-"], stdin="log: {level: error}", environ={}).log.level == "error"
    with pytest.raises(ConfigError, match="given twice"):
        load([base, base], environ={})
    with pytest.raises(ConfigError, match="no configuration file"):
        load([], environ={})


def test_encodings(tmp_path: Path) -> None:
    """A byte order mark is skipped; anything but UTF-8 is refused."""
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + TAIL).encode())
    assert load([str(path)], environ={}).version == 1
    path.write_bytes((HEAD + TAIL).encode("utf-16"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load([str(path)], environ={})
    path.write_bytes((HEAD + TAIL).replace("\n", "\r\n").encode())
    assert load([str(path)], environ={}).models["m"].reference is not None


def test_a_scalar_gives_way_to_a_map(tmp_path: Path) -> None:
    """Shorthand in one file and the long form in another: the later one stands alone."""
    files = write(
        tmp_path,
        base=with_model("prediction: score"),
        over="models: {m: {prediction: {path: p, kind: class}}}",
    )
    prediction = load(files, environ={}).models["m"].prediction
    assert prediction is not None
    assert (prediction.path, prediction.kind) == (("p",), "class")
