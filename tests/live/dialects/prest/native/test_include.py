"""The headers: where they are, and that compilers are content with them."""

from __future__ import annotations

import runpy
import subprocess
import sys
from fnmatch import fnmatch
from types import SimpleNamespace

import pytest

from plugmw.dialects.prest.include import FOLDER
from tests.support.servers import ROOT, require_program

STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
USE = """#include "plugmw_function.h"
PLUGMW_LIBRARY
PLUGMW_EXPORT void GETHelloHandler(const plugmw_request *request, plugmw_response *response) {
    plugmw_headers(response, "{}");
    plugmw_answer(response, 200, request->body.data, request->body.size);
    plugmw_print(response, 200, "%d", 1);
    plugmw_fail(response, "no");
}
"""


def test_the_folder_is_printed():
    command = [sys.executable, "-m", "plugmw.dialects.prest.include"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{FOLDER}\n"
    assert {path.name for path in FOLDER.glob("plugmw_*")} == {
        "plugmw_function.go",
        "plugmw_function.h",
        "plugmw_function.rs",
        "plugmw_go.h",
    }


@pytest.mark.parametrize(
    ("program", "options"), [("cc", ["-std=c99", "-x", "c"]), ("c++", ["-std=c++11", "-x", "c++"])]
)
def test_the_header_compiles_without_a_warning(tmp_path, program, options):
    compiler = require_program(program)
    (tmp_path / "use.c").write_text(USE, encoding="utf-8")
    command = [compiler, *options, *STRICT, "-shared", "-fPIC", f"-I{FOLDER}", "-o", "use.so", "use.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_installed_plugmw_has_the_headers(monkeypatch):
    told = {}
    fake = SimpleNamespace(setup=lambda **given: told.update(given), find_packages=lambda **given: [])
    monkeypatch.setitem(sys.modules, "setuptools", fake)
    runpy.run_path(str(ROOT / "setup.py"))
    patterns = told["package_data"]["plugmw.dialects.prest.include"]
    files = {path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "")}
    assert files == {name for name in files if any(fnmatch(name, pattern) for pattern in patterns)}
