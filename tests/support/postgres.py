"""A real PostgreSQL on a unix socket, which tests may stop, freeze and start."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.servers import PATIENCE, missing, only_live, require_module


class PostgresServer:
    """``url`` is where it is. As root it runs as the user ``postgres``, since it refuses to run as root."""

    def __init__(self) -> None:
        require_module("psycopg")
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        found = shutil.which("postgres") or (str(programs[-1]) if programs else missing("no postgres"))
        self._bin = Path(found).resolve().parent
        self._options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": "/"}
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                missing("no user postgres to run it as")
            self._options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        # Not in pytest's folder, which only its own user may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="plugmw-postgres-"))
        if os.geteuid() == 0:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.url = f"postgresql://plugmw@/postgres?host={self.folder}"
        self._process: subprocess.Popen[bytes] | None = None
        only_live("postgres")
        command = [str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-A", "trust", "-U", "plugmw"]
        subprocess.run([*command, "-N", "-E", "UTF8"], check=True, capture_output=True, **self._options)

    def start(self) -> None:
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += ["-c", "listen_addresses=", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._options
            )
        end = time.monotonic() + PATIENCE
        while not self.answers():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def answers(self) -> bool:
        import psycopg

        try:
            self.run("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def run(self, sql: str) -> None:
        """Run SQL as somebody else would."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)

    def signal(self, number: int) -> None:
        """Signal the server and its backends: ``SIGSTOP`` makes it hang."""
        assert self._process
        for child in self._children():
            os.kill(child, number)
        os.kill(self._process.pid, number)

    def _children(self) -> list[int]:
        assert self._process
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # ends connections and shuts down
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
