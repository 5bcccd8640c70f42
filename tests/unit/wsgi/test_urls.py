"""urls: where they lead."""

from __future__ import annotations

import pytest

from plugmw.wsgi.urls import netloc, origin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.example/x?y", ("http", "a.example", 80)),
        ("https://user@A.example", ("https", "a.example", 443)),
        ("https://[::1]:8443/", ("https", "::1", 8443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url", ["ftp://a/s3cret", "//a/s3cret", "http:///s3cret", "http://a:0/s3cret", "/s3cret", ""]
)
def test_what_leads_nowhere_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match="expected one of http or https with a host") as caught:
        origin(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[x/", "http://a:99999/"])
def test_what_is_no_url_is_a_value_error(url):
    with pytest.raises(ValueError):
        origin(url)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("http", "a", 80), "a"),
        (("https", "a", 80), "a:80"),
        (("https", "::1", 443), "[::1]"),
        (("https", "::1", 80), "[::1]:80"),
    ],
)
def test_a_port_of_the_schemes_own_is_left_out(place, text):
    assert netloc(*place) == text
