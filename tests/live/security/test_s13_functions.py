"""S13: no spelling of ``{file}`` or ``{func}`` leaves the folder; a file's own functions alone are called."""

from __future__ import annotations

import json
import os

import pytest

from tests.security.gates import WORKERS
from tests.support import raw
from tests.unit.dialects.prest.test_functions import TRAVERSALS

SERVED = """
    import os, sys
    from plugmw import Gateway
    from plugmw.testing import hello_app

    sys.path.append("outside")
    entry = {"name": "functions", "config": {"path": "lib"}}
    app = Gateway(hello_app, {"store": "memory://", "plugins": [entry]})
"""
#: What is outside of the folder, or cannot be asked for by its name, leaves a sign when it is executed.
SIGN = "open('executed', 'a').write(__file__ + '\\n')\ndef GETXHandler(): return 'outside'\n"
#: What is in the module without being its own, or is no function of a method.
FOREIGN = """
import json
from json import dumps as GETImportedHandler
from os import system as GETSystemHandler
from json import JSONDecoder as GETForeignClassHandler
HTTPVars: dict
URLQuery: dict
def GETGoodHandler(): return json.dumps({**HTTPVars, "pid": 1})
def Hidden(): return 'hidden'
def _GETHandler(): return 'hidden'
def GETHandler(): return 'hidden'
GETDictHandler = {}
GETTextHandler = 'text'
GETBuiltinHandler = print
"""
#: Targets that are 404: names that are there but not to be called, and names of modules everywhere else.
TARGETS = [
    *(
        "/_PLUGIN/good/Imported",
        "/_PLUGIN/good/System",
        "/_PLUGIN/good/ForeignClass",
        "/_PLUGIN/good/Builtin",
    ),
    *("/_PLUGIN/good/Dict", "/_PLUGIN/good/Text", "/_PLUGIN/good/Hidden", "/_PLUGIN/good/Nothing"),
    *(
        "/_PLUGIN/good/GETGoodHandler",
        "/_PLUGIN/good/good",
        "/_PLUGIN/good/__init__",
        "/_PLUGIN/good/__dict__",
    ),
    *("/_PLUGIN/good/_", "/_PLUGIN/good/%5F", "/_PLUGIN/good/Good%00", "/_PLUGIN/good/Good.__class__"),
    *(
        "/_PLUGIN/Good/Good",
        "/_PLUGIN/good%2e/Good",
        "/_PLUGIN/./good/x/../Nothing",
        "/_PLUGIN/good/%2e%2e/Good",
    ),
    *("/_PLUGIN/os/X", "/_PLUGIN/json/X", "/_PLUGIN/plugmw/X", "/_PLUGIN/secret/X", "/_PLUGIN/nothing/X"),
    *("/_PLUGIN/linked/X", "/_PLUGIN/linkedfolder/X", "/_PLUGIN/folder/X", "/_PLUGIN/dangling/X"),
    *("/_PLUGIN/%EF%BD%87ood/Good", "/_PLUGIN/good/%EF%BC%A7ood", "/_PLUGIN/" + "a" * 3000 + "/X"),
]


@pytest.fixture(scope="module", params=WORKERS)
def served(request, gunicorn_for_module, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("functions")
    lib, outside = tmp_path / "lib", tmp_path / "outside"
    for folder in (lib / "folder", outside):
        folder.mkdir(parents=True)
    for path in (
        outside / "secret.py",
        tmp_path / "secret.py",
        lib / ".hidden.py",
        lib / "folder" / "__init__.py",
    ):
        path.write_text(SIGN)
    (lib / "good.py").write_text(FOREIGN)
    (lib / "linked.py").symlink_to(outside / "secret.py")
    (lib / "linkedfolder").symlink_to(outside)
    (lib / "dangling.py").symlink_to("nowhere.py")
    (lib / "a-b.py").write_text(SIGN)
    (lib / "hello.txt").write_text(SIGN)
    os.symlink("/dev/zero", lib / "zero.py")
    os.mkfifo(lib / "pipe.py")
    text = SERVED.replace('"lib"', repr(str(lib))).replace('"outside"', repr(str(outside)))
    args = ["--chdir", str(tmp_path), *WORKERS[request.param]]
    return gunicorn_for_module(text, worker_class=request.param, args=args), tmp_path


def test_s13_nothing_outside_is_reached_and_a_missing_name_imports_nothing(served):
    server, folder = served
    assert json.loads(raw.get(server.port, "/_PLUGIN/good/Good?a=1").body)["func"] == "Good"
    pipes = ["/_PLUGIN/zero/X", "/_PLUGIN/pipe/X", "/_PLUGIN/a-b/X", "/_PLUGIN/hello.txt/X"]
    found = {target: raw.get(server.port, target) for target in [*TARGETS, *TRAVERSALS, *pipes]}
    assert {target: answer.status for target, answer in found.items() if answer.status != 404} == {}
    assert not (folder / "executed").exists()
    # Neither the place of the folder nor what is in it is told.
    told = b"".join(answer.body for answer in found.values())
    assert str(folder).encode() not in told
    assert b"outside" not in told
    assert raw.get(server.port, "/_PLUGIN/good/Good").status == 200


def test_s13_a_method_calls_its_own_handlers_only(served):
    server, _ = served
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "GETGood", "_"):
        answer = raw.get(server.port, "/_PLUGIN/good/Good", "X-HTTP-Method-Override: GET", method=method)
        assert answer.status in (400, 404), method
