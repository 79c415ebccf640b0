"""Scores under `compat:` beside those of the products themselves, on the same rows.

    python -m bench.compat [--record]

Asks Evidently, NannyML, Scouter and popmon, each in an environment of its own, for their scores of every case in
tests/judge/compat/cases.json, and holds them against what is recorded beside it, which tests hold ours against.
`--record` writes the answers down instead. Ends with 1 where any differs by more than 1e-9.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from bench.peers.process import NotInstalled, Peer, PeerFailed

HERE = Path(__file__).resolve().parent.parent / "tests" / "judge" / "compat"
CASES, RECORDED = HERE / "cases.json", HERE / "recorded.json"
PRODUCTS = ("evidently", "nannyml", "scouter", "popmon")
TOLERANCE = 1e-9
Rows = list[tuple[Any, int]]


def cases() -> dict[str, dict[str, Any]]:
    """By name {kind, reference, current, missing}: rows are [value, rows] pairs, missing rows [reference, current].

    Rows of the form {gauss: [mean, sigma], rows, seed} are drawn, alike wherever Python is.
    """
    found: dict[str, dict[str, Any]] = json.loads(CASES.read_text())
    for case in found.values():
        for side in ("reference", "current"):
            if isinstance(case[side], dict):
                case[side] = _drawn(**case[side])
    return found


def _drawn(*, gauss: tuple[float, float], rows: int, seed: int) -> Rows:
    source = random.Random(seed)
    return [(source.gauss(*gauss), 1) for _ in range(rows)]


def ask(product: str) -> dict[str, Any]:
    """{versions, scores: case → score → value}."""
    with Peer(product, program="compat.py") as peer:
        answers = {name: peer.ask("scores", **case)["scores"] for name, case in cases().items()}
        return {"versions": peer.versions, "scores": answers}


def differences(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Lines for people: case, score, what is recorded and what was answered."""
    lines = []
    for case in sorted(known.keys() | found.keys()):
        mine, theirs = known.get(case, {}), found.get(case, {})
        for name in sorted(mine.keys() | theirs.keys()):
            one, other = mine.get(name), theirs.get(name)
            if one is None or other is None or not is_close(one, other):
                lines.append(f"{case}: {name} is recorded as {one}, answered {other}")
    return lines


def is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the answers down")
    record = parser.parse_args().record
    known: dict[str, Any] = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    failed = 0
    for product in PRODUCTS:
        try:
            answer = ask(product)
        except (NotInstalled, PeerFailed) as error:
            failed += 1
            print(f"{product}: {error}")
            continue
        lines = [] if record else differences(known.get(product, {}).get("scores", {}), answer["scores"])
        failed += bool(lines)
        count = sum(map(len, answer["scores"].values()))
        versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
        print(f"{product}: {count} scores of {len(answer['scores'])} cases, {len(lines)} differ ({versions})")
        print("".join(f"  {line}\n" for line in lines), end="")
        if record:
            known[product] = answer
    if record:
        RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
