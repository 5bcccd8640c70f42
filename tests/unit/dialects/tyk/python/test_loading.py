"""Modules of bundles: their own files, what plugmw gives them, and nothing for anybody else. Row S30."""

from __future__ import annotations

import gc
import shutil
import sys
import types
from pathlib import Path

import pytest

from plugmw.dialects.tyk.python import loading
from plugmw.errors import LoadError
from plugmw.loading.watching import recording
from tests.unit.dialects.tyk.python.conftest import HEAD


def ours():
    return {name for name in sys.modules if name.startswith("plugmw_tyk_")}


@pytest.fixture
def run(bundle):
    """Load a bundle and call its hook H without arguments."""

    def load_and_call(files, names=()):
        loaded = loading.load(bundle(files), names)
        return loaded.hooks["H"]()

    return load_and_call


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("import helper", "helper.VALUE"),
        ("import helper as h", "h.VALUE"),
        ("from helper import VALUE", "VALUE"),
        ("from helper import *", "VALUE"),
        ("import pack.deep", "pack.deep.VALUE"),
        ("import pack.deep as deep", "deep.VALUE"),
        ("from pack import deep", "deep.VALUE"),
        ("from pack.deep import VALUE", "VALUE"),
        ("from pack import UP", "UP"),
        ("import other", "other.VALUE"),
    ],
)
@pytest.mark.parametrize("where", ["at the top", "in the hook"])
def test_other_files_of_the_bundle_are_imported_by_plain_name(run, statement, value, where):
    if "*" in statement and where == "in the hook":
        return
    top, inside = (statement, "") if where == "at the top" else ("", statement)
    files = {
        "middleware.py": f"{top}\n@Hook\ndef H():\n    {inside or 'pass'}\n    return {value}\n",
        "helper.py": "VALUE = 7\n",
        "other.py": "from helper import VALUE\n",
        "pack/__init__.py": "from .deep import VALUE as UP\n",
        "pack/deep.py": "from . import side\nfrom helper import VALUE\nassert side.VALUE == VALUE\n",
        "pack/side.py": "VALUE = 7\n",
    }
    assert run(files) == 7


@pytest.mark.parametrize(
    "statement",
    [
        "import tyk.decorators as d; assert d.Hook is Hook",
        "import tyk.decorators; assert tyk.decorators.Hook is Hook",
        "from tyk import decorators as d; assert d.Hook is Hook",
        "import gateway; assert gateway.TykGateway is tyk",
        "from tyk.session import TykSession; TykSession().rate = 1",
        "from tyk.gateway import TykGateway; assert TykGateway is tyk",
        "from tyk.request import TykCoProcessRequest",
    ],
)
def test_tyk_and_gateway_are_there_for_the_bundle(run, statement):
    run(f"{statement}\n@Hook\ndef H():\n    pass\n")


def test_tyk_and_gateway_are_there_for_nobody_else(run):
    before = set(sys.modules)
    run("@Hook\ndef H():\n    pass\n")
    assert {"tyk", "gateway"}.isdisjoint(sys.modules)
    assert {name.partition(".")[0] for name in set(sys.modules) - before} <= {"plugmw"}
    with pytest.raises(ModuleNotFoundError):
        import tyk  # noqa: F401


def test_an_apps_own_gateway_module_stays_what_it_is(run, monkeypatch):
    own = types.ModuleType("gateway")
    monkeypatch.setitem(sys.modules, "gateway", own)
    assert run("@Hook\ndef H():\n    from gateway import TykGateway\n    return TykGateway is tyk\n")
    import gateway

    assert gateway is own


@pytest.mark.parametrize("name", ["json", "logging", "plugmw", "string", "gateway", "tyk"])
def test_a_file_of_the_bundle_shadows_no_standard_module_and_nothing_of_plugmw(run, name):
    files = {
        "middleware.py": f"import {name}\n@Hook\ndef H():\n    return hasattr({name}, 'EVIL')\n",
        f"{name}.py": "EVIL = 1\n",
    }
    assert run(files) is False


def test_nothing_that_the_bundle_imports_finds_the_bundles_files(run, tmp_path, monkeypatch):
    (tmp_path / "installed_one.py").write_text(
        "try:\n    import helper\nexcept ImportError:\n    helper = 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "middleware.py": "import installed_one\n@Hook\ndef H():\n    return installed_one.helper\n",
        "helper.py": "",
    }
    try:
        assert run(files) == 0
    finally:
        sys.modules.pop("installed_one", None)


def test_two_bundles_with_files_of_the_same_name_do_not_mix(bundle):
    text = "import helper\n@Hook\ndef H():\n    import late\n    return helper.VALUE, late.VALUE\n"
    made = [
        loading.load(
            bundle({"middleware.py": text, "helper.py": f"VALUE = {n}\n", "late.py": f"VALUE = {-n}\n"}), ()
        )
        for n in (1, 2)
    ]
    assert [loaded.hooks["H"]() for loaded in made] == [(1, -1), (2, -2)]


def test_a_circle_of_imports_is_as_in_any_package(run):
    files = {
        "middleware.py": "import a\n@Hook\ndef H():\n    return a.b.a is a\n",
        "a.py": "import b\n",
        "b.py": "import a\n",
    }
    assert run(files)


@pytest.mark.parametrize(
    "statement", ["import pack.nothing", "import tyk.nothing", "from pack import nothing"]
)
def test_what_a_package_does_not_have_cannot_be_imported(bundle, statement):
    with pytest.raises(LoadError, match=r"cannot import name|No module named"):
        loading.load(bundle({"middleware.py": f"{statement}\n", "pack/__init__.py": ""}), ())


def test_a_missing_module_is_said_by_its_own_name(bundle):
    with pytest.raises(LoadError, match="No module named 'not_there'"):
        loading.load(bundle("import not_there\n"), ())


def test_the_entry_file_is_middleware_or_the_only_one(bundle):
    folder = bundle(
        {"my-hooks.py": "@Hook\ndef H():\n    return 1\n", "middleware.py": "@Hook\ndef H():\n    return 2\n"}
    )
    assert loading.load(folder, ["my-hooks.py"]).hooks["H"]() == 1
    assert loading.load(folder, ["my-hooks.py", "middleware.py"]).hooks["H"]() == 2
    assert loading.load(folder, []).hooks["H"]() == 2


@pytest.mark.parametrize("name", ["deep/hooks.py", "a.b.py"])
def test_the_only_file_may_be_anywhere_in_the_bundle_and_called_anything(bundle, name):
    text = f"{HEAD}import helper, other\n@Hook\ndef H():\n    return helper.VALUE + other.VALUE\n"
    folder = bundle({"helper.py": "VALUE = 7\n"})
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).with_name("other.py").write_text("VALUE = 0\n")
    (folder / name).write_text(text)
    loaded = loading.load(folder, [name])
    assert loaded.hooks["H"]() == 7


def test_libraries_in_vendor_are_the_bundles_own(run):
    files = {
        "middleware.py": "import attrs, helper\n@Hook\ndef H():\n    return attrs.VALUE, helper.VALUE\n",
        "helper.py": "VALUE = 1\n",
        "vendor/helper.py": "VALUE = 2\n",
        "vendor/attrs/__init__.py": "from attrs.inner import VALUE\n",
        "vendor/attrs/inner.py": "VALUE = 3\n",
    }
    assert run(files) == (3, 1)
    import attrs

    assert not hasattr(attrs, "VALUE")


@pytest.mark.parametrize("name", ["data.txt", "../outside.py", "/etc/x.py"])
def test_an_entry_that_is_no_python_file_of_the_folder_is_refused(bundle, name):
    with pytest.raises(LoadError, match="expected a Python file of the bundle"):
        loading.load(bundle(""), [name])


def test_a_missing_entry_is_an_error(bundle):
    with pytest.raises(LoadError, match="FileNotFoundError"):
        loading.load(bundle({"helper.py": ""}), ())


def test_modules_can_be_asked_about_as_any(run):
    files = {
        "middleware.py": "import pickle, sys\nfrom records import A\n"
        "@Hook\ndef H():\n    a = pickle.loads(pickle.dumps(A(1)))\n"
        "    return a.b, __file__, __name__ in sys.modules, __package__\n",
        # dataclasses look the module up in sys.modules when annotations are texts.
        "records/__init__.py": "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass A:\n    b: int\n",
    }
    value, file, known, package = run(files)
    assert (value, Path(file).name, known, package) == (1, "middleware.py", True, "")


def test_loading_again_gives_new_modules_and_new_code(bundle):
    folder = bundle("@Hook\ndef H():\n    return 1\n")
    first = loading.load(folder, ())
    (folder / "middleware.py").write_text(HEAD + "@Hook\ndef H():\n    return 2\n")
    assert (first.hooks["H"](), loading.load(folder, ()).hooks["H"]()) == (1, 2)


@pytest.mark.slow
def test_no_module_is_left_after_two_hundred_loads(bundle):
    folder = bundle(
        {"middleware.py": "import helper\n@Hook\ndef H():\n    import late\n", "helper.py": "", "late.py": ""}
    )
    gc.collect()
    before, folders = ours(), len(loading._folders)
    finders = len(sys.meta_path)
    for _ in range(200):
        loaded = loading.load(folder, ())
        loaded.hooks["H"]()
    del loaded
    gc.collect()
    assert ours() == before
    assert (len(loading._folders), len(sys.meta_path)) == (folders, finders)


def test_modules_live_as_long_as_what_was_loaded_and_can_be_forgotten_at_once(bundle):
    before = ours()
    loaded = loading.load(bundle("@Hook\ndef H():\n    return 1\n"), ())
    assert len(ours() - before) == 1
    loaded.forget()
    assert ours() == before
    assert loaded.hooks["H"]() == 1


def test_a_bundle_that_fails_leaves_no_module(bundle):
    before = ours()
    with pytest.raises(LoadError):
        loading.load(bundle({"middleware.py": "import helper\n1 / 0\n", "helper.py": ""}), ())
    assert ours() == before


def test_a_module_that_outlives_its_bundle_finds_no_more_of_it(bundle):
    loaded = loading.load(bundle({"middleware.py": "@Hook\ndef H():\n    import late\n", "late.py": ""}), ())
    loaded.forget()
    with pytest.raises(ModuleNotFoundError):
        loaded.hooks["H"]()


def test_the_files_that_were_read_are_noted_for_reloads(bundle):
    folder = bundle({"middleware.py": "import helper\n", "helper.py": "", "unused.py": ""})
    with recording() as record:
        loading.load(folder, ())
    assert {Path(path).name for path in record.files} == {"middleware.py", "helper.py"}


def test_a_missing_entry_is_noted_too(bundle):
    with recording() as record, pytest.raises(LoadError):
        loading.load(bundle({"helper.py": ""}), ())
    assert {Path(path).name for path in record.files} == {"middleware.py"}


@pytest.mark.slow
def test_compiled_libraries_in_vendor_are_each_bundles_own(bundle):
    import _cffi_backend
    import markupsafe

    folder = bundle(
        {
            "middleware.py": "import _cffi_backend\n"
            + "from markupsafe import _speedups\n"
            + "@Hook\ndef H():\n    return _speedups, _cffi_backend\n"
        }
    )
    (folder / "vendor").mkdir()
    shutil.copytree(Path(markupsafe.__file__).parent, folder / "vendor/markupsafe")
    shutil.copy(_cffi_backend.__file__, folder / "vendor")
    before = ours()
    # Kept, so that the modules of both are alive.
    loaded = [loading.load(folder, ()) for _ in range(2)]
    names = [module.__spec__.name for one in loaded for module in one.hooks["H"]()]
    # A module without multi-phase initialisation is one for each file.
    assert len({name for name in names if name.endswith("_speedups")}) == 2
    assert {name.split("_", 3)[3] for name in names} == {"markupsafe._speedups", "_cffi_backend"}
    assert set(names) <= ours() - before
    assert markupsafe.escape("<") == "&lt;"
