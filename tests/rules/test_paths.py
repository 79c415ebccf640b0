from __future__ import annotations

import re

from tests.rules.tree import ROOT, committed, report

MACHINE = re.compile(r"(?<![\w./}-])/(?:work|root|home/[a-z][\w-]*)(?:/|\b)")
EXCEPTIONS = {
    "tests/rules/test_paths.py": "names what it looks for",
    "Dockerfile": "the image's own file system",
}


def test_no_file_names_a_machine() -> None:
    """Paths of whoever wrote a file mean nothing to whoever reads it."""
    breaches = []
    for path in committed():
        name = path.relative_to(ROOT).as_posix()
        if name in EXCEPTIONS:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = MACHINE.search(line)
            if found:
                breaches.append(f"{name}:{number}: {found[0]}")
    report(breaches, "machine paths in committed files")
