"""ib_insync may be imported from any thread, and nobody's event loop is touched by it."""

import subprocess
import sys
from pathlib import Path

import pytest

IN_A_THREAD = """
import threading
def run():
    import gateway.session
    print("imported")
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
BESIDE_A_LOOP = """
import asyncio
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
import gateway.session
assert asyncio.get_event_loop_policy().get_event_loop() is loop
loop.close()
print("imported")
"""
INSIDE_A_LOOP = """
import asyncio
async def run():
    import gateway.session
    print("imported")
asyncio.run(run())
"""


@pytest.mark.parametrize(
    "program", [IN_A_THREAD, BESIDE_A_LOOP, INSIDE_A_LOOP, "import gateway.session as s; print('imported')"]
)
def test_imported_anywhere(program):
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "imported\n", "")
