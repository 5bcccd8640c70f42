"""Self-signed certificates by openssl, for tests that need files and no authority."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.servers import require_program


def self_signed(folder: Path, certificate: str, key: str, common_name: str) -> None:
    """Write a PEM certificate for ``common_name`` and its key into ``folder``, good for two days."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = [require_program("openssl"), "req", "-x509", *curve, "-nodes"]
    command += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={common_name}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
