"""authentication: what all authentication plugins share."""

from __future__ import annotations

import pytest

from plugmw import ConfigError
from plugmw.auth.authentication import PREFLIGHT_HELP, REALM, Authentication, Denied, challenge
from plugmw.contrib.file_log import FileLog
from plugmw.errors import ConfigErrors, StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, field
from plugmw.schema.fields import HeaderName
from plugmw.testing import get, hello_app

ALICE = Consumer(id="1", username="alice", custom_id="A")
NOBODY = Consumer(id="9", username="nobody", custom_id="somebody")
NOW = 1_700_000_000.0


@config
class CardConfig:
    anonymous: str | None = field(None, help="Stand-in.")
    realm: str | None = field(None, REALM, help="Realm.")
    card_header: HeaderName = field("X-Card", credential=True, help="Header with the card.")


@config
class PreflightConfig:
    anonymous: str | None = field(None, help="Stand-in.")
    run_on_preflight: bool = field(True, help=PREFLIGHT_HELP)


class CardAuth(Authentication):
    name, priority, Config = "card-auth", 1006, CardConfig

    def identify(self, x):
        credential = self.credential("card-auth", x.get_header(self.config.card_header) or "")
        if credential is None:
            raise Denied(headers=challenge("Card", self.config.realm))
        return self.owner(credential), credential


class BadgeAuth(CardAuth):
    name, priority, Config = "badge-auth", 1005, PreflightConfig
    credential_names = ("X-Badge",)

    def identify(self, x):
        if x.get_header("X-Badge") is None:
            raise Denied("No badge")
        return None, Credential(id="badge", consumer_id="")


class Directory(MemoryDirectory):
    def __init__(self, **cards: Credential) -> None:
        super().__init__([ALICE, NOBODY])
        for key, card in cards.items():
            self.add("card-auth", key, card)


DIRECTORY = Directory(
    good=Credential(id="c1", consumer_id="1"),
    old=Credential(id="c2", consumer_id="1", expires=NOW),
    fresh=Credential(id="c3", consumer_id="1", expires=NOW + 1),
    orphan=Credential(id="c4", consumer_id="alice"),
)


class Broken(Directory):
    def credential(self, kind, key):
        raise StoreError("redis://cards", "timed out after 1 s")


def ask(*plugins, directory=DIRECTORY, **request):
    """Send a request through plugins; return the answer and the environ the app saw, if it did."""
    saw = []
    app = Gateway(hello_app, plugins=plugins, consumers=directory, clock=lambda: NOW)
    answer = get(app, environ={"plugmw.testing.saw": saw}, **request)
    return answer, saw[0] if saw else None


def identity(environ):
    return {key[7:]: value for key, value in environ.items() if key.startswith(("HTTP_X_C", "HTTP_X_A"))}


def test_the_app_is_told_who_is_asking():
    _, saw = ask(CardAuth(), headers={"X-Card": "good", "X-Consumer-Username": "mallory"})
    assert {key: value for key, value in identity(saw).items() if key != "CARD"} == {
        "CONSUMER_ID": "1",
        "CONSUMER_USERNAME": "alice",
        "CONSUMER_CUSTOM_ID": "A",
        "CREDENTIAL_IDENTIFIER": "c1",
    }
    assert saw["plugmw.consumer"] is ALICE


def test_a_denied_request_gets_the_message_and_the_challenge():
    answer, saw = ask(CardAuth(realm="shop"), headers={"X-Card": "bad"})
    assert (answer.status_code, answer.json["message"]) == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Card realm="shop"'
    assert saw is None


def test_a_challenge_without_realm_is_the_scheme():
    assert challenge("Key", None) == [("WWW-Authenticate", "Key")]


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "a\x7fb", "Ω"])
def test_refuses_a_realm_that_cannot_be_quoted(realm):
    with pytest.raises(ConfigError, match=r"realm: got .* without quotes, backslashes and control"):
        CardAuth(realm=realm)


@pytest.mark.parametrize(("card", "status"), [("fresh", 200), ("old", 401)])
def test_an_expired_credential_is_unknown(card, status):
    assert ask(CardAuth(), headers={"X-Card": card})[0].status_code == status


def test_a_credential_belongs_to_the_consumer_with_that_id_only():
    """A consumer whose name is another one's id must not get that one's credentials."""
    _, saw = ask(CardAuth(), headers={"X-Card": "orphan"})
    assert saw["plugmw.consumer"] is None


@pytest.mark.parametrize("anonymous", ["9", "nobody"])
def test_the_anonymous_consumer_stands_in_for_a_denied_request(anonymous):
    answer, saw = ask(CardAuth(anonymous=anonymous), headers={"X-Card": "bad"})
    assert (answer.status_code, saw["plugmw.consumer"], saw["plugmw.credential"]) == (200, NOBODY, None)
    assert saw["HTTP_X_ANONYMOUS_CONSUMER"] == "true"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


@pytest.mark.parametrize("anonymous", ["somebody", "nowhere"], ids=["a custom id", "unknown"])
def test_a_missing_anonymous_consumer_is_an_error(anonymous):
    answer, saw = ask(CardAuth(anonymous=anonymous))
    assert (answer.status_code, saw) == (500, None)
    assert answer.json["message"] == f"anonymous consumer {anonymous} is configured but doesn't exist"


def test_a_missing_anonymous_consumer_does_not_matter_to_valid_credentials():
    assert ask(CardAuth(anonymous="nowhere"), headers={"X-Card": "good"})[0].status_code == 200


def test_a_store_that_fails_is_an_error_and_never_anonymous():
    answer, saw = ask(CardAuth(anonymous="nobody"), directory=Broken(), headers={"X-Card": "good"})
    assert (answer.status_code, saw) == (500, None)
    assert answer.json["message"] == "An unexpected error occurred"


COMBINED = {
    # cards, badges: anonymous or not -> card given, badge given -> status, credential id
    "both must pass: both": (None, None, "good", "x", 200, "badge"),
    "both must pass: only the first": (None, None, "good", None, 401, None),
    "both must pass: only the second": (None, None, None, "x", 401, None),
    "one is enough: the first wins": ("nobody", "nobody", "good", "x", 200, "c1"),
    "one is enough: only the first": ("nobody", "nobody", "good", None, 200, "c1"),
    "one is enough: an anonymous first does not stop the second": (
        "nobody",
        "nobody",
        None,
        "x",
        200,
        "badge",
    ),
    "one is enough: neither": ("nobody", "nobody", None, None, 200, None),
    "first optional, second needed": ("nobody", None, "good", None, 401, None),
}


@pytest.mark.parametrize(
    ("first", "second", "card", "badge", "status", "credential"), COMBINED.values(), ids=COMBINED
)
def test_combines_plugins(first, second, card, badge, status, credential):
    headers = {name: value for name, value in (("X-Card", card), ("X-Badge", badge)) if value}
    answer, saw = ask(CardAuth(anonymous=first), BadgeAuth(anonymous=second), headers=headers)
    assert answer.status_code == status
    assert (saw or {}).get("HTTP_X_CREDENTIAL_IDENTIFIER") == credential


def test_a_credential_without_consumer_leaves_no_consumer_headers():
    _, saw = ask(CardAuth(), BadgeAuth(), headers={"X-Card": "good", "X-Badge": "x"})
    assert "HTTP_X_CONSUMER_ID" not in saw
    assert "HTTP_X_CONSUMER_USERNAME" not in saw


PREFLIGHTS = {
    "OPTIONS pass untouched": (False, "OPTIONS", 200),
    "other methods do not": (False, "GET", 401),
    "OPTIONS need credentials by default": (True, "OPTIONS", 401),
}


@pytest.mark.parametrize(("run", "method", "status"), PREFLIGHTS.values(), ids=PREFLIGHTS)
def test_run_on_preflight(run, method, status):
    assert ask(BadgeAuth(run_on_preflight=run), method=method)[0].status_code == status


def test_a_preflight_beside_which_a_header_asks_for_another_method_needs_credentials():
    headers = {"X-HTTP-Method-Override": "DELETE"}
    assert ask(BadgeAuth(run_on_preflight=False), method="OPTIONS", headers=headers)[0].status_code == 401


def test_a_plugin_without_run_on_preflight_always_runs():
    assert ask(CardAuth(), method="OPTIONS")[0].status_code == 401


def test_a_plugin_without_identify_lets_nobody_pass():
    class Unfinished(Authentication):
        name, Config = "unfinished", CardConfig

    assert ask(Unfinished(anonymous="nobody"))[0].status_code == 500


# -- credentials and logs -----------------------------------------------------------------------------------


def logged(plugin, path, target="/", **headers):
    """Return the log entry of a request, as text."""
    app = Gateway(hello_app, plugins=[plugin, FileLog(path=str(path))], consumers=DIRECTORY)
    get(app, path=target, headers=headers)
    app.stop()
    return path.read_text()


@pytest.mark.parametrize("card", ["good", "bad-card"])
def test_the_credential_of_an_own_plugin_is_not_logged(tmp_path, card):
    entry = logged(CardAuth(), tmp_path / "log", f"/?x-card={card}&y={card}1", **{"X-Card": card})
    assert card not in entry.replace(f"{card}1", "")
    assert entry.count("REDACTED") >= 2


def test_nor_is_it_under_another_name_or_one_that_is_no_field(tmp_path):
    assert "good" not in logged(CardAuth(card_header="X-Other"), tmp_path / "one", **{"X-Other": "good"})
    assert "b4dge" not in logged(BadgeAuth(), tmp_path / "two", **{"X-Badge": "b4dge"})


@pytest.mark.parametrize("base", [Authentication, Plugin])
def test_a_plugin_that_does_not_say_where_its_credentials_come_from_is_refused(base):
    members = {
        "name": "silent",
        "Config": PreflightConfig,
        "authenticates": True,
        "access": lambda self, x: 1,
    }
    silent = type("Silent", (base,), members)
    with pytest.raises(
        ConfigErrors, match="does not say where its credentials come from, expected a field with"
    ):
        Gateway(hello_app, plugins=[silent()])
    with pytest.raises(ConfigErrors, match="Silent: authenticates"):
        silent.middleware(hello_app)
    silent.credential_names = ()
    Gateway(hello_app, plugins=[silent()])
