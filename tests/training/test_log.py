"""The log of experiments: every entry says of which day and commit it is, the newest stands first."""

import re
from datetime import date
from pathlib import Path

import training

LOG = Path(training.__file__).with_name("LOG.md")
STAMP = re.compile(r"\*(\d{4}-\d\d-\d\d)\b.*\b[0-9a-f]{7}\b.*\*")
DATELESS = {"Not done yet"}


def test_every_entry_has_its_day_and_its_commit_and_the_newest_comes_first() -> None:
    entries = dict(part.split("\n", 1) for part in LOG.read_text().split("\n## ")[1:])
    assert len(entries) > 10
    days = []
    for title, text in entries.items():
        if title in DATELESS:
            continue
        stamp = STAMP.fullmatch(text.strip().splitlines()[0])
        assert stamp, f"'{title}' does not say when and at which commit it was measured"
        days.append(date.fromisoformat(stamp[1]))
    assert days == sorted(days, reverse=True)
