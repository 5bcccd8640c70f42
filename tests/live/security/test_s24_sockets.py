"""S24, with servers and processes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.security.test_s24_sockets import mode
from tests.security.test_s24_sockets import open_umask as open_umask
from tests.support.pluginservers import python_server, serving


def test_s24_what_a_server_and_its_supervisor_make_is_open_to_us_alone(open_umask):
    with serving(python_server("traps.py"), {}) as served:
        assert served.do("nothing").status_code == 200
        folder = Path(served.server.group.supervisor().folder)
        made = [folder, folder.parent, *folder.rglob("*")]
        assert any(stat.S_ISSOCK(os.lstat(path).st_mode) for path in made)
        assert {str(path): oct(mode(path)) for path in made if mode(path) & 0o077} == {}
        assert {os.lstat(path).st_uid for path in made} == {os.geteuid()}
