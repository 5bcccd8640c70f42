"""plugmw consumers: add, list, key, revoke."""

from __future__ import annotations

import io
import json
import re

import pytest

from plugmw import cli
from plugmw.auth import passwords
from plugmw.auth.directories import open_directory


@pytest.fixture
def url(tmp_path):
    return f"sqlite://{tmp_path}/consumers.db"


@pytest.fixture
def run(url, capsys):
    """Run an action on the store; returns (status, stdout, stderr)."""

    def run_(action, *arguments, store=url):
        status = cli.main(["consumers", action, str(store), *arguments])
        return status, *capsys.readouterr()

    return run_


@pytest.fixture
def store(url):
    made = open_directory(url)
    yield made
    made.close()


@pytest.fixture
def alice(run):
    assert run("add", "alice", "--custom-id", "a-1", "--group", "g", "--group", "h", "--tag", "t")[0] == 0


def test_add_says_the_id(run, store):
    status, out, err = run("add", "bob")
    assert (status, out, err) == (0, f"bob: added, id {store.consumer('bob').id}\n", "")


def test_add_takes_everything_and_prints_json(run, store):
    status, out, _ = run("add", "alice", "--custom-id", "a-1", "--group", "g", "--tag", "t", "--json")
    expected = {"username": "alice", "custom_id": "a-1", "groups": ["g"], "tags": ["t"]}
    assert (status, json.loads(out)) == (0, {"id": store.consumer("alice").id, **expected})


@pytest.mark.usefixtures("alice")
def test_add_refuses_a_name_that_is_taken(run):
    message = "username: got 'alice', which another consumer has, expected a unique value\n"
    assert run("add", "alice") == (1, "", message)


@pytest.mark.slow
@pytest.mark.usefixtures("alice")
def test_key_shows_what_it_made_once(run, store):
    status, out, _ = run("key", "alice")
    key = re.search(r"  key  (\S+)\n", out)[1]
    assert (status, len(key)) == (0, 43)
    credential = store.credential("key-auth", key)
    assert out == f"key-auth {credential.id} of alice: added; it is not shown again\n  key  {key}\n"
    for arguments in ((), ("--json",)):
        assert key not in run("list", *arguments)[1]


@pytest.mark.slow
@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("kind", "looked_up", "field"),
    [
        ("key-auth", None, "key"),
        ("basic-auth", "username", "password"),
        ("hmac-auth", "username", "secret"),
        ("jwt", "key", "secret"),
    ],
)
def test_key_makes_each_kind(run, store, kind, looked_up, field):
    shown = json.loads(run("key", "a-1", "--kind", kind, "--json")[1])
    credential = store.credential(kind, shown[looked_up or field])
    assert (shown["id"], shown["kind"], shown["expires"]) == (credential.id, kind, None)
    if kind == "basic-auth":
        assert passwords.matches(credential.data["password"], shown[field])
    elif kind != "key-auth":
        assert (shown[looked_up], credential.data[field]) == ("alice", shown[field])


@pytest.mark.slow
@pytest.mark.usefixtures("alice")
def test_key_reads_a_secret_from_standard_input_and_does_not_show_it(run, store, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("open sesame\n"))
    status, out, _ = run("key", "alice", "--kind", "basic-auth", "--username", "al", "--stdin")
    credential = store.credential("basic-auth", "al")
    assert (status, out) == (0, f"basic-auth {credential.id} of alice: added\n  username  al\n")
    assert passwords.matches(credential.data["password"], "open sesame")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("key", "alice", "--stdin") == (
        2,
        "",
        "standard input: empty, expected the secret in one line\n",
    )


@pytest.mark.usefixtures("alice")
def test_key_may_end(run):
    run("key", "alice", "--ttl", "60")
    listed = json.loads(run("list", "--json")[1])
    assert listed[0]["credentials"][0]["expires"] > 0
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ\n", run("list")[1])


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("bob",), 1, 'consumers.db: no consumer "bob"'),
        (("alice", "--kind", "jwt", "--ttl", "1"), 2, "--ttl: jwt credentials do not expire"),
        (("alice", "--username", "al"), 2, "--username: key-auth credentials have none"),
    ],
)
def test_key_says_what_is_wrong(run, arguments, status, message):
    found, out, err = run("key", *arguments)
    assert (found, out) == (status, "")
    assert message in err


@pytest.mark.parametrize("text", ["0", "x", "1e11", "nan"])
def test_key_wants_a_number_of_seconds(run, capsys, text):
    with pytest.raises(SystemExit):
        run("key", "alice", "--ttl", text)
    assert f"got '{text}', expected a number of seconds above 0" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("alice")
def test_list_lines_up(run):
    run("add", "bob")
    assert run("list")[1] == "consumer  custom id  groups\nalice     a-1        g h\nbob\n"


@pytest.mark.slow
def test_list_of_nothing(run):
    assert run("list")[1] == "no consumers\n"
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.usefixtures("alice")
def test_revoke_takes_a_credential(run, store):
    shown = json.loads(run("key", "alice", "--json")[1])
    assert run("revoke", shown["id"]) == (0, f"{shown['id']}: revoked\n", "")
    assert store.credential("key-auth", shown["key"]) is None
    status, _, err = run("revoke", shown["id"])
    assert (status, err.endswith("; list shows their ids\n")) == (1, True)


@pytest.mark.usefixtures("alice")
def test_revoke_takes_a_consumer(run, store):
    assert run("revoke", "alice", "--consumer") == (0, "alice: removed, with all credentials\n", "")
    assert store.consumer("alice") is None


def test_the_store_may_be_the_one_of_a_gateway_file(run, url, tmp_path, store):
    file = tmp_path / "gateway.yaml"
    file.write_text(f"consumer_store: {url}\n")
    assert run("add", "alice", store=file)[0] == 0
    assert store.consumer("alice")


def test_a_gateway_file_must_name_one(run, tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text("plugins: []\n")
    message = f"{file}: consumer_store: missing, expected the URL of a consumer store\n"
    assert run("list", store=file) == (2, "", message)


@pytest.mark.parametrize("store", ["mysql://h/d", "sqlite:///nowhere/a.db"])
def test_a_bad_url_is_said(run, store):
    status, _, err = run("list", store=store)
    assert (status, err.startswith("consumer_store: got ")) == (1, True)


def test_a_store_that_cannot_be_used_is_said(run, tmp_path):
    (tmp_path / "consumers.db").write_bytes(b"something else" * 100)
    status, _, err = run("list")
    assert (status, err) == (1, f"sqlite://{tmp_path}/consumers.db: cannot be used: DatabaseError\n")
