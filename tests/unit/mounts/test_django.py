"""Django: the wrapped handler, the checks and the consumer, in one real project.

Django is configured once for a process, so the settings here hold for the whole file.
"""

from __future__ import annotations

import pytest
from django.conf import settings
from werkzeug.test import Client

from tests.support.django_site import configure

CONFIG = {
    "store": "memory://",
    "routes": [{"name": "me", "paths": ["/me"]}],
    "plugins": [{"name": "key-auth", "route": "me"}],
    "consumers": [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}],
}


def who(request):
    from django.http import JsonResponse

    return JsonResponse({"who": request.consumer.username if request.consumer else None})


@pytest.fixture(scope="module", autouse=True)
def project():
    from django.urls import path

    class urls:
        urlpatterns = [path("", who), path("me", who)]

    configure(urls)


@pytest.fixture
def application():
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


@pytest.fixture
def plugmw_setting(monkeypatch):
    """Set (or take away) settings as a settings file would."""

    def put(**values):
        for name, value in values.items():
            monkeypatch.setattr(settings, name, value, raising=False)

    return put


def check():
    from django.core.checks import run_checks

    return [(message.id, message.msg, message.hint) for message in run_checks(tags=["plugmw"])]


def test_wraps_the_handler_by_the_settings(application, plugmw_setting):
    from plugmw.mounts.django import wrap_django

    plugmw_setting(PLUGMW=CONFIG)
    client = Client(wrap_django(application))
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers={"apikey": "k"}).json == {"who": "alice"}
    assert client.get("/", headers={"X-Consumer-Username": "alice"}).json == {"who": None}


def test_an_argument_wins_over_the_settings(application, plugmw_setting):
    from plugmw.mounts.django import wrap_django

    plugmw_setting(PLUGMW={"plugins": [{"name": "nothing"}]})
    assert Client(wrap_django(application, CONFIG)).get("/me").status_code == 401


def test_a_relative_path_is_taken_from_base_dir(application, plugmw_setting, tmp_path):
    from plugmw.mounts.django import wrap_django

    (tmp_path / "gateway.yaml").write_text("plugins:\n  - name: key-auth\n")
    plugmw_setting(PLUGMW="gateway.yaml", BASE_DIR=tmp_path)
    assert Client(wrap_django(application)).get("/").status_code == 401


def test_plugins_made_in_code_need_no_setting(application, plugmw_setting):
    from plugmw.contrib.correlation_id import CorrelationID
    from plugmw.mounts.django import wrap_django

    plugmw_setting(PLUGMW=None)
    client = Client(wrap_django(application, plugins=[CorrelationID(echo_downstream=True)]))
    assert "X-Correlation-ID" in client.get("/").headers


def test_a_missing_setting_is_an_error(application, plugmw_setting):
    from plugmw.errors import ConfigError
    from plugmw.mounts.django import wrap_django

    plugmw_setting(PLUGMW=None)
    with pytest.raises(ConfigError, match="settings: PLUGMW: missing, expected a path or a mapping"):
        wrap_django(application)


def test_the_checks_pass_a_good_configuration(plugmw_setting):
    plugmw_setting(PLUGMW=CONFIG)
    assert check() == []


def test_the_checks_say_each_error_with_its_place_and_hint(plugmw_setting):
    plugmw_setting(
        PLUGMW={
            "plugins": [
                {"name": "nothing"},
                {"name": "rate-limiting", "config": {"minute": -5}},
            ]
        }
    )
    assert check() == [
        ("plugmw.E001", 'settings.PLUGMW: plugins[0].name: no plugin "nothing"', None),
        (
            "plugmw.E001",
            "settings.PLUGMW: plugins[1].config.minute: got -5",
            "Expected a number above 0",
        ),
    ]


def test_the_checks_say_a_file_that_is_not_there(plugmw_setting, tmp_path):
    plugmw_setting(PLUGMW=tmp_path / "none.yaml")
    assert check() == [("plugmw.E001", f"{tmp_path}/none.yaml: no such file", None)]


def test_the_checks_say_a_missing_setting(plugmw_setting):
    plugmw_setting(PLUGMW=None)
    ((id, message, hint),) = check()
    assert (id, message) == ("plugmw.E002", "settings: PLUGMW: missing, expected a path or a mapping")
    assert 'PLUGMW = BASE_DIR / "gateway.yaml"' in hint


def test_the_checks_warn_of_what_is_probably_not_meant(plugmw_setting, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    plugmw_setting(PLUGMW={"folders": [{"path": str(tmp_path)}]})
    ((id, message, _),) = check()
    assert id == "plugmw.W001"
    assert "ZeroDivisionError" in message


def test_the_checks_rehearse_a_start(plugmw_setting, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    PRIORITY, VERSION = 1, '1.0.0'\n"
        "    def __init__(self): raise KeyError('x')\n    def access(self, config): pass\n"
    )
    plugmw_setting(PLUGMW={"plugins": [{"name": f"{tmp_path}/mine.py:Mine"}]})
    assert check() == [
        ("plugmw.E001", "settings.PLUGMW: plugins[0]: cannot be started: KeyError: 'x'", None),
    ]
