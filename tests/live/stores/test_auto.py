from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.unit.stores.test_auto import temporary as temporary

WORKERS = """
import os, sys, tempfile
from plugmw.stores import auto_url
tempfile.tempdir = sys.argv[1]
read, write = os.pipe()
for _ in range(2):
    if not os.fork():
        os.write(write, auto_url(True).encode() + b" ")
        os._exit(0)
    os.wait()
print(os.read(read, 4096).decode())
"""


def test_workers_of_one_server_share_a_file(temporary: Path, output: Callable[..., str]) -> None:
    one, two = output(WORKERS, temporary).split()
    assert one == two


def test_workers_of_two_servers_do_not(temporary: Path, output: Callable[..., str]) -> None:
    assert output(WORKERS, temporary) != output(WORKERS, temporary)
