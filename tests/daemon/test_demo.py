"""The first thing a newcomer types."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from monitor.demo.flights import is_installed


@pytest.mark.slow(50)
def test_the_demo_finds_the_blizzard_and_nothing_before_it():
    """`driftline demo` exits 0: every record counted once, one incident on 8 and 9 February whose first cause is
    missing(dep_delay), none in the week before; when the flights have landed the harm is measured; the alert and the
    signed request for that arrived."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "demo"], capture_output=True, text=True, check=False, timeout=380
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sent, counted = re.search(
        r"([\d,]+) records sent, ([\d,]+) counted: every record counted once", done.stdout
    ).groups()
    assert sent == counted
    incidents = re.findall(r"^  (\d\d) Feb – (\d\d) Feb  (\w+)  cause (\S+)", done.stdout, re.MULTILINE)
    assert incidents
    assert [one for one in incidents if int(one[0]) < 8] == []
    blizzard, harm = [one for one in incidents if one[0] == "08"]
    assert (blizzard[3], harm[3]) == ("missing(dep_delay)", "accuracy")
    assert re.search(r"^  08 Feb  \d+ of \d+ landed, accuracy 0\.[67]", done.stdout, re.MULTILINE)
    assert '"reason": "rule harm"' in done.stdout
    assert re.search(
        r"asked for by rule harm: fitted anew on [\d,]+ flights, 2013.02 takes over", done.stderr
    )
    assert [one for one in incidents if int(one[0]) > 9] == []
    if is_installed():
        assert sent == "17,602"
        assert blizzard[1] == "09"
    assert "signature valid" in done.stdout
    assert '"alertname": "ModelDrift"' in done.stdout
    assert re.search(r"The page: http://127\.0\.0\.1:\d+/", done.stdout)
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
