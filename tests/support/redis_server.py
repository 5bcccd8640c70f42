"""A real Redis, which tests may stop and start."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.servers import only_live
from tests.support.waiting import until


class RedisServer:
    """A redis-server on a unix socket, which tests may stop and start."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._command += ["--dir", str(folder), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        only_live("redis-server")
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self.answers, 5.0)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        try:
            return bool(self("PING"))
        except OSError:
            return False

    def __call__(self, *command: object) -> object:
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self.socket)) as client:
                return client.execute_command(*command)
        except redis.ConnectionError as error:
            raise OSError(str(error)) from error
