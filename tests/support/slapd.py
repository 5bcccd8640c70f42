"""A real OpenLDAP server on loopback ports, with a database of its own that ends with it.

with slapd(folder) as directory:
    directory.port, directory.tls_port, directory.authority
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.support.certificates import certificates
from tests.support.servers import PATIENCE, missing, only_live

SUFFIX = "dc=shop,dc=example"
PEOPLE = f"ou=people,{SUFFIX}"

#: ``allow bind_anon_cred``: an empty password is answered with success, as many servers do.
_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred
pidfile {folder}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
maxsize 10485760
directory {folder}/db
suffix "{suffix}"
rootdn "cn=admin,{suffix}"
rootpw admin-password
"""

_ORGANISATION = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: shop
dc: shop

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: ou=robots,{PEOPLE}
objectClass: organizationalUnit
ou: robots
"""

_PERSON = """
dn: uid={dn},{place}
objectClass: inetOrgPerson
uid:{uid}
cn:{uid}
sn:{uid}
userPassword:{password}
"""

#: An address at which the server is too, and that is not in its certificate.
UNNAMED = "127.0.0.2"

#: User name as it is in a DN, where the entry is, user name, password.
USERS = [
    ("einstein", PEOPLE, "einstein", "password"),
    ("colon", PEOPLE, "colon", "password:another"),
    ("long", PEOPLE, "long", "x" * 600),
    ("J\\C3\\A9r\\C3\\B4me", PEOPLE, "Jérôme", "clé"),
    ("a\\2Cb\\2Bc\\3D\\22d\\22\\3C\\3E\\3B\\5C", PEOPLE, 'a,b+c="d"<>;\\', "odd"),
    ("\\23x", PEOPLE, "#x", "hash"),
    ("marvin", f"ou=robots,{PEOPLE}", "marvin", "password"),
]


@attrs.frozen
class Directory:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    tls_port: int
    authority: str


@contextlib.contextmanager
def slapd(folder: Path) -> Iterator[Directory]:
    """Start OpenLDAP in ``folder`` with :data:`USERS`; skip the test if there is none."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    program, load = shutil.which("slapd", path=path), shutil.which("slapadd", path=path)
    if program is None or load is None:
        missing("no slapd on PATH")
    only_live(program)
    files = certificates(folder)
    (folder / "db").mkdir()
    conf, data = folder / "slapd.conf", folder / "data.ldif"
    conf.write_text(_CONF.format(folder=folder, suffix=SUFFIX, **attrs.asdict(files)), encoding="utf-8")
    people = (
        _PERSON.format(dn=dn, place=where, uid=_ldif(uid), password=_ldif(password))
        for dn, where, uid, password in USERS
    )
    data.write_text(_ORGANISATION + "".join(people), encoding="utf-8")
    subprocess.run([load, "-f", conf, "-l", data], check=True, capture_output=True, timeout=PATIENCE)
    port, tls_port = _free_port(), _free_port()
    places = (f"ldap://127.0.0.1:{port}", f"ldaps://127.0.0.1:{tls_port}", f"ldaps://{UNNAMED}:{tls_port}")
    with (folder / "slapd.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-d", "0", "-f", conf, "-h", " ".join(places)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port, folder)
        _wait(process, tls_port, folder)
        yield Directory(process, port, tls_port, str(files.authority))
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _ldif(text: str) -> str:
    """Write what stands after ``name:``, in Base64 (RFC 2849)."""
    return f": {b64encode(text.encode()).decode()}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"slapd does not listen:\n{(folder / 'slapd.log').read_text()}")
            time.sleep(0.02)
