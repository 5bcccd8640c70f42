"""Sources compiled when they have changed, by real compilers."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plugmw.dialects.prest import building
from plugmw.dialects.prest.building import build_all, exports, main, sources
from plugmw.dialects.prest.native import open_library
from plugmw.loading.watching import recording
from tests.support.native import HELLO, HELLO_BODY, SOURCES, request
from tests.support.servers import ROOT, require_program

C = """#include "plugmw_function.h"
PLUGMW_LIBRARY
void GETHelloHandler(const plugmw_request *request, plugmw_response *response) {
    (void)request;
    plugmw_print(response, 200, "%s");
}
"""
GO = """package main

var (
	HTTPVars map[string]string
	URLQuery map[string][]string
)

func GETHelloHandler() string { return HTTPVars["file"] }
"""


@pytest.fixture
def lib(tmp_path):
    (tmp_path / "lib/src").mkdir(parents=True)
    return tmp_path / "lib"


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "plugmw")
    return caplog


def source(lib, name, text):
    path = lib / "src" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a shell script in the place of the C compiler; ``$OUT`` is what it has to make."""

    def put(script):
        path = tmp_path / "fake-cc"
        path.write_text(
            f'#!/bin/sh\nOUT=$(echo "$@" | sed "s/.*-o //; s/ .*//")\n{script}\n', encoding="utf-8"
        )
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))

    return put


@pytest.mark.parametrize(("name", "program"), [("traps.c", "cc"), ("hello.go", "go"), ("rusty.rs", "rustc")])
def test_sources_of_every_language_become_libraries(lib, log, name, program):
    require_program(program)
    shutil.copy(SOURCES / name, lib / "src")
    assert build_all(lib) == []
    made = lib / f"{name.partition('.')[0]}.so"
    assert open_library(made).GETHelloHandler(request(), *HELLO) == (HELLO_BODY, 200, [])
    assert log.messages == [f"{lib}/src/{name}: built {made}"]
    assert sorted(path.name for path in (lib / "src").iterdir()) == [name]


def test_a_folder_with_main_go_becomes_a_library_of_its_name(lib):
    require_program("go")
    source(lib, "shop/main.go", GO + "\nfunc main() {}\n")
    source(lib, "shop/more.go", 'package main\n\nfunc GETMoreHandler() string { return "more" }\n')
    source(lib, "shop/more_test.go", 'package main\n\nimport _ "testing"\n')
    source(lib, "middlewares/other.go", "no Go at all")
    assert build_all(lib) == []
    library = open_library(lib / "shop.so")
    assert library.GETHelloHandler(request(), {"file": "shop"}, {})[0] == b"shop"
    assert library.GETMoreHandler(request(), {}, {})[0] == b"more"
    assert [path.name for path in lib.glob("*.so")] == ["shop.so"]


def test_a_folder_that_is_a_go_module_is_built_with_its_packages(lib):
    require_program("go")
    text = GO.replace("package main\n", 'package main\n\nimport "shop/inner"\n').replace(
        'HTTPVars["file"]', "inner.Name"
    )
    source(lib, "shop/main.go", text)
    source(lib, "shop/go.mod", "module shop\n\ngo 1.19\n")
    (lib / "src/shop/inner").mkdir()
    (lib / "src/shop/inner/name.go").write_text('package inner\n\nconst Name = "inner"\n', encoding="utf-8")
    assert build_all(lib) == []
    assert open_library(lib / "shop.so").GETHelloHandler(request(), {}, {})[0] == b"inner"


def test_a_go_source_that_exports_the_interface_itself_is_compiled_as_it_is(lib):
    require_program("go")
    text = """package main

/*
#include "plugmw_function.h"
*/
import "C"

//export plugmw_abi
func plugmw_abi() C.int32_t { return 1 }

//export plugmw_free
func plugmw_free(*C.plugmw_response) {}

//export GETHelloHandler
func GETHelloHandler(_ *C.plugmw_request, response *C.plugmw_response) { response.status = 203 }

func main() {}
"""
    source(lib, "own.go", text)
    assert build_all(lib) == []
    assert open_library(lib / "own.so").GETHelloHandler(request(), {}, {}) == (b"", 203, [])


def test_nothing_is_built_twice_from_the_same_source(lib, log, fake):
    fake('echo built > "$OUT"')
    path = source(lib, "a.c", C)
    assert build_all(lib) == []
    before = (lib / "a.so").stat()
    path.touch()
    assert build_all(lib) == []
    assert (lib / "a.so").stat().st_ino == before.st_ino
    assert len(log.messages) == 1


@pytest.mark.parametrize("change", ["source", "gone", "forgotten", "garbled", "no object"])
def test_it_is_built_again_when_the_source_has_changed_or_the_library_is_gone(lib, log, fake, change):
    fake('echo built > "$OUT"')
    path = source(lib, "a.c", C)
    build_all(lib)
    listed = lib / ".plugmw-built.json"
    {
        "source": lambda: path.write_text(C + "/* */", encoding="utf-8"),
        "gone": (lib / "a.so").unlink,
        "forgotten": listed.unlink,
        "garbled": lambda: listed.write_text("{"),
        "no object": lambda: listed.write_text("[]"),
    }[change]()
    assert build_all(lib) == []
    assert len(log.messages) == 2


def test_a_library_in_use_is_replaced_whole(lib, fake):
    fake('echo one > "$OUT"')
    path = source(lib, "a.c", C)
    build_all(lib)
    with (lib / "a.so").open() as open_before:
        fake('echo two > "$OUT"')
        path.write_text(C + "/* */", encoding="utf-8")
        build_all(lib)
        assert (open_before.read(), (lib / "a.so").read_text()) == ("one\n", "two\n")
    assert {path.name for path in lib.iterdir()} == {
        "src",
        "a.so",
        ".plugmw-built.json",
        ".plugmw-building.lock",
    }


def test_what_cannot_be_compiled_is_reported_and_skipped_and_the_old_library_stays(lib, log):
    require_program("cc")
    source(lib, "good.c", C % "good")
    bad = source(lib, "bad.c", C % "old")
    assert build_all(lib) == []
    source(lib, "good.c", C % "better")
    source(lib, "bad.c", C % "new" + "int x = 1\n")
    problems = build_all(lib)
    assert [problem.source for problem in problems] == [bad]
    assert problems[0].what == "not built: cc said"
    assert "error: expected" in problems[0].output
    assert str(problems[0]) in log.messages
    assert open_library(lib / "good.so").GETHelloHandler(request(), {}, {})[0] == b"better"
    assert open_library(lib / "bad.so").GETHelloHandler(request(), {}, {})[0] == b"old"


def test_only_the_first_lines_of_a_compiler_are_told_and_no_control_characters(lib, fake):
    fake("for i in $(seq 50); do printf 'line %d \\033[31m%0400d\\n' $i 0; done; exit 1")
    source(lib, "a.c", C)
    lines = build_all(lib)[0].output.splitlines()
    assert len(lines) == building.LINES
    assert lines[0].startswith("line 1  [31m000")
    assert all(len(line) <= building.LENGTH and line.isprintable() for line in lines)


def test_a_compiler_that_does_not_end_is_killed_with_what_it_started(lib, fake, tmp_path):
    fake(f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    source(lib, "a.c", C)
    problems = build_all(lib, deadline=0.5)
    assert problems[0].what.endswith("fake-cc did not end within 0.5 s")
    pid = (tmp_path / "pid").read_text().strip()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_missing_compiler_is_named(lib, monkeypatch):
    monkeypatch.setenv("CC", "no-such-cc")
    path = source(lib, "a.c", C)
    assert [str(problem) for problem in build_all(lib)] == [
        f"{path}: not built: there is no no-such-cc on PATH"
    ]


def test_names_that_no_request_could_name_and_names_taken_twice_are_reported(lib, fake):
    fake('echo built > "$OUT"')
    source(lib, "my-plugin.c", C)
    source(lib, "a.c", C)
    source(lib, "a.rs", "")
    source(lib, "notes.txt", "")
    assert [str(problem) for problem in build_all(lib)] == [
        f"{lib}/src/a.rs: not built: {lib}/src/a.c is for a.so already",
        f"{lib}/src/my-plugin.c: not built: got 'my-plugin', expected letters, digits and _",
    ]
    assert [path.name for path in lib.glob("*.so")] == ["a.so"]


def test_a_folder_without_sources_is_left_alone(tmp_path):
    assert build_all(tmp_path) == build_all(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_a_problem(lib, monkeypatch):
    source(lib, "a.c", C)

    def refused(*given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(building.os, "open", refused)
    assert [str(problem) for problem in build_all(lib)] == [f"{lib}: cannot build here: Permission denied"]


def test_a_folder_that_cannot_be_read_is_a_problem(lib, monkeypatch):
    def refused(*given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(building.Path, "iterdir", refused)
    assert [str(problem) for problem in build_all(lib)] == [f"{lib}: cannot build here: Permission denied"]


def test_what_a_killed_build_left_is_removed(lib, fake):
    (lib / ".plugmw-building-abc").mkdir()
    fake('echo built > "$OUT"')
    source(lib, "a.c", C)
    assert build_all(lib) == []
    assert not (lib / ".plugmw-building-abc").exists()


def test_many_workers_build_once(lib, fake, tmp_path):
    fake(f'echo x >> {tmp_path}/runs; sleep 0.2; echo built > "$OUT"')
    source(lib, "a.c", C)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "plugmw.dialects.prest.building", str(lib)]
    running = [subprocess.Popen(command, env=env) for _ in range(4)]
    threads = [threading.Thread(target=build_all, args=(lib,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert [process.wait() for process in running] == [0] * 4
    for thread in threads:
        thread.join()
    assert (tmp_path / "runs").read_text() == "x\n"
    assert json.loads((lib / ".plugmw-built.json").read_text()).keys() == {"a"}


def test_sources_are_watched_for_changes(lib):
    paths = [source(lib, "a.c", C), source(lib, "shop/main.go", GO), source(lib, "shop/more.go", GO)]
    with recording() as record:
        found, _ = sources(lib / "src")
    assert [item.name for item in found] == ["a", "shop"]
    assert record.files.keys() == {str(path) for path in (lib / "src", *paths)}


def test_the_command_builds_and_tells_what_failed(lib, fake, monkeypatch):
    fake('echo built > "$OUT"')
    source(lib, "a.c", C)
    assert main([str(lib)]) == 0
    source(lib, "b-b.c", C)
    assert main([str(lib)]) == 1
    monkeypatch.chdir(lib.parent)
    monkeypatch.setattr(sys, "argv", ["building"])
    assert main() == 1


def test_generated_exports_name_each_function_once_and_a_main_unless_there_is_one():
    text = exports(
        "func GETHelloHandler() string {\nfunc  x()\n\tfunc POSTInHandler()\nfunc GETHelloHandler() {\n"
    )
    assert text.count("PLUGMW_FUNCTION(GETHelloHandler)") == 1
    assert 'plugmwFunctions["GETHelloHandler"] = GETHelloHandler' in text
    assert "POSTIn" not in text
    assert "func main() {}" in text
    assert "func main" not in exports("func main() {}")
