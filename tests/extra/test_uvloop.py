# SPDX-License-Identifier: MIT
"""python.loop = "uvloop": async handlers, their streams and what they wait for, on PyPI's uvloop."""

import os
import shutil
import tempfile
from pathlib import Path

from daemon import Daemon

APP = """
import asyncio
from snacgi import get


@get("/loop")
async def loop():
    await asyncio.sleep(0.001)
    run = asyncio.get_running_loop()
    return {"loop": type(run).__module__, "thread": await run.run_in_executor(None, lambda: 42)}


@get("/stream")
async def stream():
    for n in range(3):
        await asyncio.sleep(0)
        yield f"{n}\\n"
"""


def test_uvloop():
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-"))
    (tmp / "app").mkdir()
    (tmp / "app" / "app.py").write_text(APP)
    daemon = Daemon(tmp, app=tmp / "app", conf={"python": {"venv": os.environ["SN_EXTRA_VENV"], "loop": "uvloop"}})
    try:
        daemon.start()
        for _ in range(20):
            assert daemon.get("/loop").json() == {"loop": "uvloop", "thread": 42}
        assert daemon.get("/stream").body == b"0\n1\n2\n"
    finally:
        daemon.stop()
        shutil.rmtree(tmp, ignore_errors=True)
