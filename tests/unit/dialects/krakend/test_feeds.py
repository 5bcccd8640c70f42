"""Feeds as maps."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.feeds import read_feed

RSS = b"""<?xml version="1.0"?>
<rss version="2.0" xmlns:dc="d" xmlns:content="c"><channel>
  <title>T</title><link>http://l/</link><description>D</description><language>en</language>
  <copyright>C</copyright><managingEditor>me@example.com (Me)</managingEditor><category>c1</category>
  <pubDate>Mon, 02 Jan 2006 15:04:05 GMT</pubDate><lastBuildDate>yesterday</lastBuildDate>
  <image><url>http://i/</url></image>
  <item>
    <title>I1</title><link>http://l/1</link><description>d</description><content:encoded>e</content:encoded>
    <guid isPermaLink="false">g1</guid><pubDate>Mon, 02 Jan 2006 16:04:05 +0100</pubDate>
    <dc:creator>A</dc:creator><category>x</category><category>y</category>
    <enclosure url="u" length="1" type="t"/>
  </item>
  <item><title>I2</title><pubDate>once</pubDate><author>b@example.com</author></item>
</channel></rss>"""

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">
  <title>T</title><subtitle>S</subtitle><rights>R</rights><logo>http://i/</logo><category term="c"/>
  <updated>2003-12-13T18:30:02Z</updated><author><name>N</name><email>n@example.com</email></author>
  <entry><title>E</title><link rel="self"/><link href="http://l/"/><id>x</id>
    <updated>2003-12-13T18:30:02+01:00</updated><summary>s</summary><content type="html">c</content></entry>
</feed>"""


def test_reads_rss():
    assert read_feed(RSS) == {
        "author": {"name": "Me", "email": "me@example.com"},
        "categories": ["c1"],
        "copyright": "C",
        "custom": None,
        "description": "D",
        "img_url": "http://i/",
        "items": [
            {
                "title": "I1",
                "description": "d",
                "content": "e",
                "link": "http://l/1",
                "links": ["http://l/1"],
                "published": "Mon, 02 Jan 2006 16:04:05 +0100",
                "publishedParsed": "2006-01-02T15:04:05Z",
                "author": {"name": "A"},
                "authors": [{"name": "A"}],
                "guid": "g1",
                "categories": ["x", "y"],
                "enclosures": [{"url": "u", "length": "1", "type": "t"}],
            },
            {
                "title": "I2",
                "published": "once",
                "author": {"email": "b@example.com"},
                "authors": [{"email": "b@example.com"}],
            },
        ],
        "language": "en",
        "published": "Mon, 02 Jan 2006 15:04:05 GMT",
        "title": "T",
        "type": "rss",
        "updated": "yesterday",
    }


def test_reads_atom():
    assert read_feed(ATOM) == {
        "author": {"name": "N", "email": "n@example.com"},
        "categories": ["c"],
        "copyright": "R",
        "custom": None,
        "description": "S",
        "img_url": "http://i/",
        "items": [
            {
                "title": "E",
                "description": "s",
                "content": "c",
                "link": "http://l/",
                "links": ["http://l/"],
                "updated": "2003-12-13T18:30:02+01:00",
                "updatedParsed": "2003-12-13T17:30:02Z",
                "published": "2003-12-13T18:30:02+01:00",
                "publishedParsed": "2003-12-13T17:30:02Z",
                "guid": "x",
            }
        ],
        "language": "en",
        "published": "",
        "title": "T",
        "type": "atom",
        "updated": "2003-12-13T18:30:02Z",
    }


@pytest.mark.parametrize(
    ("document", "kind"), [(b"<rss/>", "rss"), (b"<feed><entry/></feed>", "atom")], ids=["rss", "atom"]
)
def test_an_empty_feed_has_all_members(document, kind):
    found = read_feed(document)
    assert (found["type"], found["author"], found["categories"], found["title"]) == (kind, None, None, "")
    assert "img_url" not in found


def test_an_author_without_name_and_address_is_none():
    assert read_feed(b"<feed><author><uri>u</uri></author></feed>")["author"] is None


@pytest.mark.parametrize("fraction", [".5", ".50", ".123", ".1234567", ".999999999"])
def test_a_date_has_a_fraction_of_any_length(fraction):
    date = f"2023-12-31T23:59:59{fraction}Z".encode()
    items = read_feed(b"<feed><entry><published>" + date + b"</published></entry></feed>")["items"]
    assert items[0]["publishedParsed"] == "2023-12-31T23:59:59Z"


def test_a_date_without_a_zone_is_taken_as_it_is():
    items = read_feed(b"<feed><entry><updated>2003-12-13T18:30:02</updated></entry></feed>")["items"]
    assert items[0]["updatedParsed"] == "2003-12-13T18:30:02Z"


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_date_that_utc_has_no_year_for_stays_as_it_is(date):
    items = read_feed(f"<feed><entry><updated>{date}</updated></entry></feed>".encode())["items"]
    assert items == [{"updated": date, "published": date}]


def test_other_documents_are_no_feeds():
    with pytest.raises(ValueError, match="neither an RSS"):
        read_feed(b"<html/>")
