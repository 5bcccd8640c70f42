"""acl: configuration, whose groups decide, and through an app."""

from __future__ import annotations

import logging

import pytest

from plugmw import ConfigError
from plugmw.contrib.acl import ACL
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory
from plugmw.testing import get, hello_app
from tests.support.plugins import made

REFUSED = "You cannot consume this service"
GROUPS = {"none": [], "admin": ["admin"], "pro": ["pro", "hello"], "free": ["free", "hello"]}
CONSUMERS = [
    {
        "username": name,
        "keyauth_credentials": [{"key": name}],
        "acls": [{"group": group} for group in groups],
    }
    for name, groups in GROUPS.items()
]


def ask(config, *, key=None, anonymous=None, context=None, **request):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    environ = {"plugmw.testing.saw": saw}
    if context is not None:
        environ["plugmw.ctx"] = {"authenticated_groups": context}
    plugins = [ACL(**config)]
    if key or anonymous:
        plugins.append(KeyAuth(anonymous=anonymous))
    query = f"apikey={key}" if key else ""
    answer = get(plugins, {"consumers": CONSUMERS}, environ=environ, query_string=query, **request)
    return answer, saw[0] if saw else None


def told(saw):
    """Return what the app was told: groups of the consumer, groups of the context."""
    return saw.get("HTTP_X_CONSUMER_GROUPS"), saw.get("HTTP_X_AUTHENTICATED_GROUPS")


# -- configuration -----------------------------------------------------------------------------------------


NOT_LISTABLE = "expected a name without commas, control characters and outer blanks"
BAD = {
    "both lists": ({"allow": ["a"], "deny": ["b"]}, "only one of these fields must be non-empty"),
    "no list": ({}, "at least one of these fields must be non-empty: 'allow', 'deny'"),
    "empty lists": ({"allow": [], "deny": []}, "at least one of these fields must be non-empty"),
    "no list at all": ({"allow": "admin"}, "allow: got 'admin', expected a list of"),
    "name with a comma": ({"allow": ["a", "b,c"]}, rf"allow\[1\]: got 'b,c', {NOT_LISTABLE}"),
    "name with a line end": ({"deny": ["a\n"]}, rf"deny\[0\]: got 'a\\n', {NOT_LISTABLE}"),
    "empty name": ({"deny": [""]}, r"deny\[0\]: got ''"),
    "unknown field": ({"allow": ["a"], "whitelist": ["b"]}, 'unknown field "whitelist"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        ACL(**config)


def test_one_list_may_be_empty():
    assert ACL(allow=["a"], deny=[]).config.deny == []


# -- access: whose groups decide -------------------------------------------------------------------

ALLOW, DENY = {"allow": ["admin"]}, {"deny": ["admin", "pro"]}
ALWAYS = {"always_use_authenticated_groups": True}
DECISIONS = {
    # config, who, context -> status, groups told
    "allow: nobody": (ALLOW, {}, None, 401, None),
    "allow: in the group": (ALLOW, {"key": "admin"}, None, 200, ("admin", None)),
    "allow: in no group": (ALLOW, {"key": "none"}, None, 403, None),
    "allow: in others": (ALLOW, {"key": "pro"}, None, 403, None),
    "allow: one of several": ({"allow": ["x", "hello"]}, {"key": "pro"}, None, 200, ("pro, hello", None)),
    "allow: case counts": ({"allow": ["Admin"]}, {"key": "admin"}, None, 403, None),
    "allow: anonymous without groups": (ALLOW, {"anonymous": "none"}, None, 401, None),
    "allow: anonymous in the group": (ALLOW, {"anonymous": "admin"}, None, 200, ("admin", None)),
    "allow: anonymous in others": (ALLOW, {"anonymous": "pro"}, None, 403, None),
    "deny: nobody": (DENY, {}, None, 401, None),
    "deny: in a group": (DENY, {"key": "pro"}, None, 403, None),
    "deny: in no group": (DENY, {"key": "none"}, None, 200, ("", None)),
    "deny: in others": (DENY, {"key": "free"}, None, 200, ("free, hello", None)),
    "deny: anonymous without groups": (DENY, {"anonymous": "none"}, None, 200, ("", None)),
    "context: allowed": (ALLOW, {}, ["x", "admin"], 200, (None, "x, admin")),
    "context: not allowed": (ALLOW, {}, ["foo"], 403, None),
    "context: empty is an answer, allow": (ALLOW, {}, [], 403, None),
    "context: empty is an answer, deny": (DENY, {}, [], 200, (None, "")),
    "context: denied": (DENY, {}, ["pro", "hello"], 403, None),
    "context: not denied": (DENY, {}, ("hello",), 200, (None, "hello")),
    "context against anonymous: permission": (ALLOW, {"anonymous": "pro"}, ["admin"], 200, (None, "admin")),
    "context against anonymous: refusal": (ALLOW, {"anonymous": "admin"}, ["foo"], 403, None),
    "context against a consumer: permission": (ALLOW, {"key": "admin"}, ["foo"], 200, ("admin", None)),
    "context against a consumer: refusal": (ALLOW, {"key": "pro"}, ["admin"], 403, None),
    "always: permission": ({**ALLOW, **ALWAYS}, {"key": "pro"}, ["admin"], 200, (None, "admin")),
    "always: refusal": ({**ALLOW, **ALWAYS}, {"key": "admin"}, ["foo"], 403, None),
    "always: empty": ({**ALLOW, **ALWAYS}, {"key": "admin"}, [], 403, None),
    "always: none given, in the group": ({**ALLOW, **ALWAYS}, {"key": "admin"}, None, 200, ("admin", None)),
    "always: none given, in others": ({**ALLOW, **ALWAYS}, {"key": "free"}, None, 403, None),
}


@pytest.mark.parametrize(("config", "who", "context", "status", "groups"), DECISIONS.values(), ids=DECISIONS)
def test_decides(config, who, context, status, groups):
    answer, saw = ask(config, context=context, **who)
    assert answer.status_code == status
    assert (told(saw) if saw else None) == groups
    if status != 200:
        assert answer.json["message"] == ("Unauthorized" if status == 401 else REFUSED)
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("config", [ALLOW, DENY], ids=["allow", "deny"])
@pytest.mark.parametrize(
    ("context", "status"), [(None, 403), (["admin"], None)], ids=["without groups", "with groups"]
)
def test_a_credential_without_consumer(config, context, status):
    directory_user = made(
        "directory", 1002, access=lambda x: x.authenticate(None, Credential(id="cn=jo", consumer_id=""))
    )
    environ = {"plugmw.ctx": {"authenticated_groups": context} if context else {}}
    answer = get([ACL(**config), directory_user], environ=environ)
    assert answer.status_code == (status or (200 if config is ALLOW else 403))


@pytest.mark.parametrize("context", ["admin", {"admin": 1}, 5, ["admin", 5]])
def test_what_is_no_list_of_names_is_ignored_with_a_warning(context, caplog):
    with caplog.at_level(logging.WARNING, "plugmw.acl"):
        answer, _ = ask(ALLOW, context=context)
    assert answer.status_code == 401
    assert "authenticated_groups is no list of names and is ignored (request " in caplog.text


def test_an_earlier_plugin_may_give_the_groups():
    plugin = made("groups", 1002, access=lambda x: x.ctx.update(authenticated_groups=["admin"]))
    assert get([ACL(allow=["admin"]), plugin]).status_code == 200


def test_a_change_of_membership_counts_for_the_next_request():
    class Directory(MemoryDirectory):
        groups = ("admin",)

        def consumer(self, name):
            return Consumer(id="1", username="jo", groups=self.groups)

    directory = Directory()
    directory.add("key-auth", "k", Credential(id="c", consumer_id="1"))
    app = Gateway(hello_app, plugins=[KeyAuth(), ACL(allow=["admin"])], consumers=directory)
    before = get(app, query_string="apikey=k").status_code
    directory.groups = ()
    assert (before, get(app, query_string="apikey=k").status_code) == (200, 403)


def test_memberships_that_cannot_be_looked_up_let_nobody_pass():
    class Down(MemoryDirectory):
        def credential(self, kind, key):
            return Credential(id="c", consumer_id="1")

        def consumer(self, name):
            raise StoreError("redis://consumers", "timed out after 1 s")

    app = Gateway(hello_app, plugins=[KeyAuth(), ACL(deny=["admin"])], consumers=Down())
    assert get(app, query_string="apikey=k").status_code == 500


# -- through an app --------------------------------------------------------------------------------

FORGED = {"X-Consumer-Groups": "admin", "X-Authenticated-Groups": "admin"}


@pytest.mark.parametrize("who", [{}, {"key": "pro"}, {"anonymous": "none"}], ids=str)
def test_groups_from_the_client_never_count(who):
    assert ask(ALLOW, headers=FORGED, **who)[0].status_code in (401, 403)


@pytest.mark.parametrize("hide", [False, True], ids=["told", "hidden"])
@pytest.mark.parametrize("who", [{"key": "free"}, {"context": ["hello"]}], ids=["consumer", "context"])
def test_groups_from_the_client_never_reach_the_app(who, hide):
    _, saw = ask({**DENY, "hide_groups_header": hide}, headers=FORGED, **who)
    assert told(saw).count(None) == (2 if hide else 1)
    assert "admin" not in str(told(saw))


def test_names_outside_ascii_are_utf_8():
    _, saw = ask({"allow": ["équipe"]}, context=["équipe"])
    assert told(saw) == (None, "équipe".encode().decode("latin-1"))


def test_names_that_a_list_cannot_hold_decide_but_are_not_told():
    _, saw = ask({"allow": ["a"]}, context=["a", "cn=x,cn=admin", "b\r\nX-Admin: 1", "b", "\ud800"])
    assert told(saw) == (None, "a, b, \xed\xa0\x80")


def test_the_refusal_has_the_format_the_client_accepts():
    answer, _ = ask(ALLOW, context=[], headers={"Accept": "text/html"})
    assert (answer.mimetype, REFUSED in answer.text) == ("text/html", True)
