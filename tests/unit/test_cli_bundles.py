"""plugmw bundle: build, verify, fetch, list."""

import io
import json
import zipfile

import pytest

from plugmw import __version__, cli
from plugmw.bundles import naming, vendoring
from tests.support.bundles import ABSENT, HOOKS, bundle, shelf, write_keys

OTHERS = {"file_list": ["middleware.py"], "custom_middleware": HOOKS}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a manifest and its file."""
    made = tmp_path / "hello"
    made.mkdir()
    monkeypatch.chdir(made)
    (made / "manifest.json").write_text(json.dumps(OTHERS))
    (made / "middleware.py").write_text("X = 1\n")
    return made


@pytest.fixture
def run(capsys):
    """Run an action; returns (status, stdout, stderr)."""

    def run_(*arguments):
        status = cli.main(["bundle", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run_


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("plugmw.bundles.download.FIRST_PAUSE", 0.0)
    with shelf() as made:
        yield made


@pytest.mark.slow
def test_build_writes_a_bundle_that_verify_finds_good(run, folder, keys):
    status, out, err = run("build", "-m", "manifest.json", "-o", "a.zip", "-k", keys[0])
    assert (status, err) == (0, "")
    assert out.startswith("wrote a.zip: 1 file, checksum ")
    assert out.endswith(", signed\n")
    good = out.removeprefix("wrote a.zip: ").rstrip()
    assert run("verify", "a.zip", "--public-key", keys[1]) == (0, f"a.zip: good, {good}\n", "")
    assert run("verify", "a.zip") == (0, f"a.zip: good, {good} (not checked: no --public-key)\n", "")


@pytest.mark.slow
def test_build_is_the_same_twice(run, folder, keys):
    for name in ("a.zip", "b.zip"):
        run("build", "--key", keys[0], "--output", name)
    assert (folder / "a.zip").read_bytes() == (folder / "b.zip").read_bytes()


def test_build_names_the_bundle_after_folder_version_and_machine(run, folder):
    assert run("build", "-y")[0] == 0
    assert (folder / f"hello_v{__version__}_{naming.goos()}_{naming.goarch()}.zip").exists()


def test_build_takes_the_name_of_the_manifest_a_version_and_a_build_id(run, folder):
    (folder / "manifest.json").write_text(json.dumps({**OTHERS, "name": "hi"}))
    assert run("build", "-y", "--version", "v5.3.0", "--build-id", "7")[0] == 0
    path = folder / f"hi-7_v5.3.0_{naming.goos()}_{naming.goarch()}.zip"
    with zipfile.ZipFile(path) as made:
        assert json.loads(made.read("manifest.json"))["build_id"] == "7"


def test_build_vendors_for_another_machine(run, folder, monkeypatch):
    asked = []

    def vendored(*arguments):
        asked.append(arguments)
        return {"lib.py": b"L"}

    monkeypatch.setattr(vendoring, "vendored", vendored)
    (folder / "requirements.txt").write_text("lib\n")
    status, out, _ = run("build", "-y", "--platform", "linux/arm64", "--python", "3.12", "--version", "1")
    assert (status, out.partition(":")[0]) == (0, "wrote hello_v1_linux_arm64.zip")
    assert asked == [
        (["--requirement", "requirements.txt"], vendoring.PLATFORMS["linux", "arm64"], "3.12"),
    ]
    with zipfile.ZipFile(folder / "hello_v1_linux_arm64.zip") as made:
        assert "vendor/lib.py" in made.namelist()


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("Yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_without_a_key_build_asks(run, folder, monkeypatch, answer, status):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    found, out, err = run("build", "-o", "a.zip")
    assert (found, (folder / "a.zip").exists()) == (status, not status)
    assert out.startswith("no key is given, the bundle will not be signed; type y to go on:\n")
    assert err == ("" if status == 0 else "aborted, nothing written\n")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "manifest.json: Couldn't load manifest file: No such file or directory"),
        ({**OTHERS, "file_list": ["gone.py"]}, "manifest.json: Referencing a nonexistent file: gone.py"),
        ({"custom_middleware": {"driver": "python"}}, "manifest.json: No hooks defined, expected "),
        ({"custom_middleware": {"pre": [{"name": "A"}]}}, "manifest.json: No driver specified, expected "),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(run, folder, manifest, message):
    if manifest is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    status, out, err = run("build", "-y")
    assert (status, out, err.startswith(message)) == (1, "", True)
    assert list(folder.glob("*.zip")) == []


def test_build_says_what_it_cannot_write(run, folder):
    message = "nowhere/a.zip: cannot be written: No such file or directory\n"
    assert run("build", "-y", "-o", "nowhere/a.zip") == (1, "", message)


def test_verify_says_what_is_wrong(run, tmp_path, keys):
    path = tmp_path / "a.zip"
    assert run("verify", path) == (2, "", f"{path}: cannot be read: No such file or directory\n")
    path.write_bytes(bundle())
    assert run("verify", path)[1].endswith(", not signed\n")
    status, _, err = run("verify", path, "--public-key", keys[1])
    assert (status, err.startswith(f"{path}: Bundle isn't signed")) == (1, True)


def test_verify_says_what_a_signature_does_not_cover(run, tmp_path, keys):
    path = tmp_path / "a.zip"
    path.write_bytes(bundle(signed=True, plugmw_signature=ABSENT))
    status, _, err = run("verify", path, "--public-key", keys[1])
    assert (status, "its file names and its manifest are not signed" in err) == (1, True)
    status, out, _ = run("verify", path, "--public-key", keys[1], "--compat")
    assert (status, out.endswith(", signed without names and manifest, as Tyk signs\n")) == (0, True)
    path.write_bytes(bundle(signed=True))
    assert run("verify", path, "--public-key", keys[1])[1].endswith(", signed\n")


def test_fetch_installs_and_list_shows(run, tmp_path, server):
    server.has |= {"a.zip": bundle(signed=True), "b.zip": bundle({"x.py": b"", "y.py": b""})}
    status, out, _ = run("fetch", "a.zip,b.zip", "--base-url", server.url, "--folder", tmp_path)
    a, b = out.splitlines()
    assert (status, a.startswith(f"a.zip: {tmp_path}/bundles/"), a.endswith(", signed")) == (0, True, True)
    assert ": 2 files, checksum d41d8cd98f00b204e9800998ecf8427e, not signed" in b
    status, out, _ = run("list", "--folder", tmp_path)
    head, *rows = out.splitlines()
    assert (status, head.split()) == (0, ["bundle", "version", "driver", "hooks", "signed", "folder"])
    assert {(row.split()[0], *row.split()[2:5]) for row in rows} == {
        ("a.zip", "python", "pre", "yes"),
        ("b.zip", "python", "pre", "no"),
    }


@pytest.mark.slow
def test_fetch_says_what_failed(run, tmp_path, server):
    status, out, err = run("fetch", "a.zip", "--base-url", server.url, "--folder", tmp_path)
    assert (status, out, err) == (1, "", f"bundle 'a.zip': {server.url}/a.zip: answered 404, expected 200\n")


def test_list_shows_what_others_have_put_there_and_what_is_broken(run, tmp_path):
    assert run("list", "--folder", tmp_path) == (0, "no bundles\n", "")
    for name, content in (("0" * 32, json.dumps(OTHERS)), ("1" * 32, "{")):
        (tmp_path / "bundles" / name).mkdir(parents=True)
        (tmp_path / "bundles" / name / "manifest.json").write_text(content)
    status, out, err = run("list", "--folder", tmp_path)
    assert (status, len(out.splitlines())) == (1, 2)
    assert "1" * 32 in err
