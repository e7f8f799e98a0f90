# SPDX-License-Identifier: MIT
"""The application whose import line alone was changed behaves as it did with that line of Flask's."""

import re
import sys
import types
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[1] / "python"


def test_ported_was_a_flask_application():
    sys.path.insert(0, str(PYTHON))
    try:
        from test_ported import behaves
    finally:
        sys.path.remove(str(PYTHON))
    text = (PYTHON / "ported.py").read_text()
    original = re.search(r"^from flask import .*$", text, re.M)[0]
    text, changed = re.subn(r"^from snacgi import .*$", original, text, flags=re.M)
    assert changed == 1 and "snacgi" not in text
    ported = types.ModuleType("ported_from_flask")
    exec(compile(text, "ported.py", "exec"), ported.__dict__)
    assert type(ported.app).__module__ == "flask.app"
    behaves(ported.app.test_client())
    assert ported.ended == ["anonymous"] * 4 + ["ada"] + ["anonymous"] * 15
