"""S11, S12, S30: a bundle stays in its folder and within its limits, and runs only if it is vouched for.

Each hostile archive goes the whole way: from a server, through the definition of an API, to a request. In
every one there is code that leaves a sign when it is executed.
"""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import struct
import sys
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.bundles import Bundles
from plugmw.bundles.archive import Limits
from plugmw.errors import LoadError
from plugmw.testing import hello_app
from tests.support.bundles import ABSENT, archive, bundle, entry, manifest, shelf, sign, write_keys

MIB = 1024 * 1024
HOOKS = {"driver": "python", "pre": [{"name": "Hook"}]}
CODE = """
from tyk.decorators import *
{first}
@Hook
def {name}(request, session, spec):
    request.object.return_overrides.response_code = 299
    request.object.return_overrides.response_body = {told}
    return request, session
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def server():
    with shelf() as one:
        yield one


@pytest.fixture
def trace(tmp_path):
    """A file that the code of a bundle makes when it is executed."""
    return tmp_path / "executed"


def code(trace, told="'hook'", first="", name="Hook"):
    return CODE.format(first=f"open({str(trace)!r}, 'w').close()\n{first}", told=told, name=name).encode()


def definition(server, folder, name, **conf):
    own = {
        "enable_bundle_downloader": True,
        "bundle_base_url": server.url,
        "middleware_path": str(folder / "mw"),
        **conf,
    }
    return {
        "name": name,
        "api_id": name,
        "active": True,
        "use_keyless": True,
        "proxy": {"listen_path": f"/{name}/"},
        "version_data": {"not_versioned": True, "versions": {}},
        "custom_middleware_bundle": f"{name}.zip",
        "plugmw": {"tyk_conf": own, "store": "memory://"},
    }


@pytest.fixture
def serve(server, tmp_path, keys, trace):
    """Return the status of a request to an API with this bundle, and everything that was written."""

    def ask(data, **conf):
        server.has["api.zip"] = data
        (tmp_path / "inside").mkdir(exist_ok=True)
        made = definition(server, tmp_path / "inside", "api", **{"public_key_path": str(keys[1]), **conf})
        return Client(Gateway.from_tyk(hello_app, made)).get("/api/x").status_code

    return ask


def left(folder):
    """Return the files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def signed(files, **other):
    return bundle(files, signed=True, custom_middleware=HOOKS, **other)


def with_entry(files, name, kind, content, listed=True):
    """Return a signed bundle with one more entry, which its manifest vouches for too."""
    every = {**files, name: content} if listed else files
    text = json.dumps(manifest(every, signed=True, custom_middleware=HOOKS)).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return archive([*files.items(), (entry(name, kind), content), ("manifest.json", text)])


def test_s11_a_good_bundle_is_served(serve, trace):
    assert serve(signed({"middleware.py": code(trace)})) == 299
    assert trace.exists()


#: Entries beside good ones, signed as these.
ESCAPES = {
    "up": ("../../../../escaped", stat.S_IFREG),
    "up, later": ("a/b/../../../escaped", stat.S_IFREG),
    "absolute": ("/tmp/plugmw-escaped", stat.S_IFREG),
    "a host": ("//host/escaped", stat.S_IFREG),
    "a drive": ("C:/escaped", stat.S_IFREG),
    "a drive, relative": ("c:escaped", stat.S_IFREG),
    "backslashes": ("..\\..\\escaped", stat.S_IFREG),
    "a NUL": ("good\x00/../../../../escaped", stat.S_IFREG),
    "a link": ("link", stat.S_IFLNK),
    "a device": ("null", stat.S_IFCHR),
    "a pipe": ("pipe", stat.S_IFIFO),
    "the same name": ("middleware.py", stat.S_IFREG),
    "another case": ("Middleware.py", stat.S_IFREG),
    "the manifest in another case": ("MANIFEST.json", stat.S_IFREG),
    "what no checksum vouches for": ("extra.py", stat.S_IFREG),
}


@pytest.mark.parametrize(("name", "kind"), ESCAPES.values(), ids=ESCAPES)
def test_s11_a_name_that_leads_elsewhere_refuses_the_bundle(serve, trace, tmp_path, name, kind):
    code_ = code(trace)
    target = str(tmp_path / "escaped").encode() if kind == stat.S_IFLNK else code_
    data = with_entry({"middleware.py": code_}, name, kind, target, listed=name != "extra.py")
    assert serve(data) == 404
    assert not trace.exists()
    assert [name for name in left(tmp_path) if not name.endswith(("lock", ".turn"))] == []
    assert not os.path.lexists("/tmp/plugmw-escaped")


def test_s11_a_link_cannot_be_followed_by_a_file_below_it(serve, trace, tmp_path):
    link = entry("lib", stat.S_IFLNK), str(tmp_path).encode()
    text = json.dumps(manifest({"middleware.py": code(trace)}, signed=True, custom_middleware=HOOKS))
    data = archive(
        [link, ("lib/escaped.py", b"1"), ("middleware.py", code(trace)), ("manifest.json", text.encode())]
    )
    assert serve(data) == 404
    assert not (tmp_path / "escaped.py").exists()


# -- vouched for -----------------------------------------------------------------------------------------


def cut(content):
    """Return the same bytes in other files: the plugin is what was the middle of one."""
    return {"middle.txt": content[:10], "middleware.py": content[10:]}


def unvouched(trace):
    """Yield bundles that nobody vouches for."""
    files = {"middleware.py": code(trace)}
    content = b"".join(files.values())
    twice = manifest(files, signed=True)
    return {
        "no checksum": bundle(files, signed=True, custom_middleware=HOOKS, checksum=""),
        "another checksum": bundle(files, signed=True, custom_middleware=HOOKS, checksum="0" * 32),
        "no signature": bundle(files, custom_middleware=HOOKS),
        "a signature of something else": bundle(
            files, custom_middleware=HOOKS, signature=sign(content + b"#")
        ),
        "a signature over the files' bytes alone": bundle(
            files, signed=True, custom_middleware=HOOKS, plugmw_signature=ABSENT
        ),
        "the same bytes cut elsewhere": bundle(
            cut(files["middleware.py"]), signed=True, plugmw_signature=twice["plugmw_signature"]
        ),
        "another manifest over the same files": bundle(
            files, signed=True, custom_middleware=HOOKS, plugmw_signature=twice["plugmw_signature"]
        ),
        "no base64": bundle(files, custom_middleware=HOOKS, signature="é" * 20),
        "a signature that is no text": bundle(files, custom_middleware=HOOKS, signature=["x"]),
        "no list of files": bundle(files, signed=True, custom_middleware=HOOKS, file_list=[]),
        "no manifest": archive(list(files.items())),
        "a manifest that is a list": archive([*files.items(), ("manifest.json", b"[]")]),
        "a manifest of a thousand lists": archive([*files.items(), ("manifest.json", b"[" * 100_000)]),
        "cut short": bundle(files, signed=True, custom_middleware=HOOKS)[:-30],
        "no zip": b"<html>",
        "a text before it that names another manifest": b"PK\3\4" + bundle(files, custom_middleware=HOOKS),
    }


@pytest.mark.parametrize("name", unvouched(Path("x")))
def test_s11_nothing_is_executed_before_checksum_and_signature_hold(serve, trace, tmp_path, name):
    assert serve(unvouched(trace)[name]) == 404
    assert not trace.exists()
    assert not [path for path in left(tmp_path) if path.endswith(".py")]


def test_s11_what_is_changed_on_disk_is_not_executed(serve, server, trace, tmp_path):
    assert serve(signed({"middleware.py": b"from tyk.decorators import *\n"})) == 500
    (installed,) = (tmp_path / "inside").rglob("middleware.py")
    installed.write_bytes(code(trace))
    server.has.clear()
    assert serve(404, bundle_base_url="") == 404
    assert not trace.exists()


def test_s30_a_bundle_that_is_fetched_needs_a_signature_or_a_switch(serve, trace, caplog):
    data = bundle({"middleware.py": code(trace)}, custom_middleware=HOOKS)
    assert serve(data) == 404
    assert serve(data, public_key_path="") == 404
    assert not trace.exists()
    assert "nothing says whose code may run" in caplog.text
    assert serve(data, public_key_path="", allow_unsigned_bundles=True) == 299


# -- S12 -------------------------------------------------------------------------------------------------


def overlapping(count):
    """Return a zip whose entries are all the same compressed bytes, as Fifield's bomb."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"\0" * MIB) + packer.flush()
    head = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, zlib.crc32(b"\0" * MIB), len(packed), MIB)
    local = b"PK\3\4" + head + struct.pack("<HH", 1, 0) + b"a" + packed
    listed = b"".join(
        b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHHHII", 4, 0, 0, 0, 0, 0, 0) + b"%04d" % n
        for n in range(count)
    )
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listed), len(local), 0)
    return local + listed + end


def lying(size):
    """Return a zip whose list says that a file of ten MiB has this many bytes."""
    data = bytearray(archive([("a", b"\0" * (10 * MIB)), ("manifest.json", b"{}")]))
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = struct.pack("<I", size)
    return bytes(data)


def crowded():
    """Return a zip that says it has few entries, and lists more than anybody needs."""
    listed = b"PK\1\2" + b"\0" * 42 + b"a"
    return listed * 60_000 + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed) * 60_000, 0, 0)


def in_each_other(depth):
    data = b"\0" * MIB
    for _ in range(depth):
        data = archive([("a.zip", data)])
    return data


BOMBS = {
    "a thousand to one": lambda: signed({"middleware.py": b"", "zeros": b"\0" * (60 * MIB)}),
    "entries that overlap": lambda: overlapping(2000),
    "sizes that are too small": lambda: lying(10),
    "sizes that are too large": lambda: lying(0xFFFFFFF0),
    "more entries than it says": crowded,
    "a manifest that is too large": lambda: archive([("manifest.json", b" " * (8 * MIB) + b"{}")]),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_s12_a_bomb_is_refused_before_it_costs_much(serve, tmp_path, make):
    data = make()
    tracemalloc.start()
    try:
        assert serve(data) == 404
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB + 3 * len(data)
    finally:
        tracemalloc.stop()
    assert sum((tmp_path / path).stat().st_size for path in left(tmp_path)) < 64 * 1024


def test_s12_zips_in_zips_are_files_like_others(serve, trace):
    files = {"middleware.py": code(trace), "nested.zip": in_each_other(5)}
    assert serve(signed(files)) == 299


def test_s12_a_server_that_sends_without_end_is_left_at_the_limit(server, tmp_path):
    server.has["x.zip"] = b"PK" * MIB
    bundles = Bundles(tmp_path, server.url, limits=Limits(download=MIB), sleep=lambda seconds: None)
    with pytest.raises(LoadError, match=f"has over {MIB} bytes"):
        bundles.get("x.zip")


# -- S30 -------------------------------------------------------------------------------------------------


def test_s30_two_bundles_with_equal_module_names_do_not_mix_and_nobody_sees_them(
    server, tmp_path, keys, trace
):
    definitions = []
    for name in ("one", "two"):
        files = {
            "middleware.py": code(trace, told="helper.NAME + json.dumps([1])", first="import helper, json"),
            "helper.py": f"NAME = {name!r}\n".encode(),
            # Names of the standard library and of plugmw, as plugins may have them.
            "json.py": b"raise RuntimeError('shadowed')\n",
            "plugmw.py": b"raise RuntimeError('shadowed')\n",
            "logging/__init__.py": b"raise RuntimeError('shadowed')\n",
        }
        server.has[f"{name}.zip"] = signed(files)
        definitions.append(definition(server, tmp_path, name, public_key_path=str(keys[1])))
    del definitions[1]["plugmw"]["store"]
    before = set(sys.modules), list(sys.path)
    client = Client(Gateway.from_tyk(hello_app, definitions))
    assert [client.get(f"/{name}/").data for name in ("one", "two", "one")] == [
        b"one[1]",
        b"two[1]",
        b"one[1]",
    ]
    assert sys.path == before[1]
    # Its modules have names of ours; other modules may have been imported for the first time meanwhile.
    files = {
        name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before[0]
    }
    from_bundles = [name for name, file in files.items() if file.startswith(str(tmp_path))]
    assert [name for name in from_bundles if not name.startswith("plugmw")] == []
    assert sys.modules["json"] is json
    assert sys.modules["logging"] is logging
    assert "helper" not in sys.modules


def test_s12_the_bombs_are_what_they_are_called():
    assert len(overlapping(2000)) < 200_000
    assert len(zipfile.ZipFile(io.BytesIO(overlapping(2000))).infolist()) == 2000
