# SPDX-License-Identifier: MIT
"""A pytest plugin that prints TAP, so that automake's driver counts every
test. A test that was skipped did not run, which is a failure here: whoever
wants green has to install what is missing."""

from __future__ import annotations

import os
import sys
from typing import Any


class Tap:
    def __init__(self) -> None:
        # Descriptor 1 is for TAP alone: pytest's own report and whatever tests and
        # their children print goes to stderr, which automake's driver keeps in the log.
        self.out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="replace")
        sys.stdout.flush()
        os.dup2(2, 1)
        self.count = 0
        self.again: list[str] = []
        self.bad: set[str] = set()

    def line(self, good: bool, name: str, text: str = "") -> None:
        self.count += 1
        if not good:
            self.bad.add(name.split(" ")[0])
        name = name.replace("#", "_").replace("\n", " ")
        self.out.write(f"{'ok' if good else 'not ok'} {self.count} - {name}\n")
        if not good:
            for one in text.splitlines():
                self.out.write(f"# {one}\n")

    def pytest_runtest_logreport(self, report: Any) -> None:
        text = report.longreprtext or ""
        for title, content in report.sections:
            text += f"\n--- {title}\n{content}"
        if report.outcome == "rerun":
            # SN_RERUNS allowed it a second try; it is named, not counted.
            self.again.append(report.nodeid)
            for one in text.splitlines():
                self.out.write(f"# {one}\n")
        elif report.skipped:
            if isinstance(report.longrepr, tuple):
                text = f"{report.longrepr[0]}:{report.longrepr[1]}: {report.longrepr[2]}"
            self.line(False, report.nodeid, "not run: " + text)
        elif report.failed:
            suffix = "" if report.when == "call" else f" ({report.when})"
            self.line(False, report.nodeid + suffix, text)
        elif report.when == "call":
            self.line(True, report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.line(False, f"collect {report.nodeid}", report.longreprtext)
        elif report.skipped:
            self.line(False, f"collect {report.nodeid}", f"not run: {report.longrepr}")

    def pytest_internalerror(self, excrepr: Any) -> None:
        self.line(False, "pytest itself", str(excrepr))

    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:
        if self.count == 0:
            self.line(False, "tests were found", "nothing was collected")
        elif int(exitstatus) not in (0, 1):
            self.line(False, "pytest came to its end", f"exit status {int(exitstatus)}")
        for name in sorted(set(self.again) - self.bad):
            self.out.write(f"# unsteady: {name}\n")
        self.out.write(f"1..{self.count}\n")
        self.out.flush()


def main() -> int:
    """Runs pytest with this plugin; the arguments are pytest's."""
    import pytest

    # Only here, not in xdist's workers: they report to this process.
    code = pytest.main(["-q", "--tb=short", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Tap()])
    # Failures are told by TAP: a non-zero status would count them twice.
    return 0 if int(code) in (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
