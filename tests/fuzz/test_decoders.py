"""Bodies of backends, and bodies of replies: every encoding of KrakenD's."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from plugmw.dialects.krakend.encoding import DecodeError, decode, encode
from plugmw.dialects.krakend.exact_json import read_json, write_json
from plugmw.dialects.krakend.feeds import read_feed
from plugmw.dialects.krakend.formatting import merge
from plugmw.dialects.krakend.xml_maps import read_xml, write_xml
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import NUMBERS, blobs, headers, texts, trees

KINDS = ("json", "safejson", "string", "xml", "yaml", "rss", "no-op", "unknown")
REPLIES = ("json", "json-collection", "string", "xml", "yaml", "negotiate", "unknown")
TREE = {
    "a": [1, 1.50, "b", {"c": None, "d": True}],
    "e": {"-f": "g", "#text": "h"},
    "content": "x",
    "collection": [],
}
XML = (
    '<?xml version="1.0" encoding="UTF-8"?><!-- c --><u:user id="7" u:x="&amp;"><name>Ann</name>'
    "<tag>a</tag><tag><![CDATA[b<]]></tag>t</u:user>"
)
RSS = """<rss version="2.0"><channel><title>T</title><link>http://a/</link><image><url>u</url></image>
<managingEditor>me@a.example (Me)</managingEditor><item><title>I</title>
<pubDate>Mon, 02 Jan 2006 15:04:05 -0700</pubDate><author>x@a.example</author><category>c</category>
<category>d</category><enclosure url="u" length="1" type="t"/><dc:creator>A</dc:creator><guid>g</guid></item>
<item/></channel></rss>"""
ATOM = """<feed xml:lang="en"><title>T</title><subtitle>S</subtitle><author><name>N</name><email>e</email>
</author><entry><id>1</id><link href="http://a/"/><category term="c"/><updated>2006-01-02T15:04:05Z</updated>
<published>0001-01-01T00:00:00+14:00</published><content>x</content></entry></feed>"""
YAML = "a: &a [1, 2]\nb: *a\nc: {d: 1.5, e: null}\nf: |\n  g\n"
MARKUP = (
    *(
        "<",
        ">",
        "/>",
        "</",
        "<a>",
        "</a>",
        "<!--",
        "]]>",
        "<![CDATA[",
        "&#0;",
        "&#xD800;",
        "&lt;",
        "&x;",
        "xmlns='u'",
    ),
    *(
        '<!DOCTYPE a [<!ENTITY x "y">]>',
        "<?a?>",
        "\ufeff",
        "<item>",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01",
        "-9999",
    ),
    *("Mon, 31 Dec 9999 23:59:59 -2359", "Mon, 02 Jan 2006 15:04:05 -9999"),
)
ENCODED = st.one_of(
    texts(XML, RSS, ATOM, YAML, json.dumps(TREE), words=(*MARKUP, *NUMBERS)).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
    trees(TREE).map(lambda tree: json.dumps(tree).encode()),
    blobs(
        XML.encode(), XML.encode("utf-16"), RSS.encode(), YAML.encode(), parts=(b"&#0;", b"<a>", b"\xff\xfe")
    ),
)


@given(st.sampled_from(KINDS), ENCODED, st.booleans())
def test_any_body_is_a_map_or_refused(kind, body, is_collection):
    found = tried(decode, kind, body, is_collection, refuses=DecodeError)
    assert found is REFUSED or isinstance(found, dict)


@given(
    st.sampled_from(KINDS),
    ENCODED,
    st.sampled_from(REPLIES),
    headers("application/xml;q=0.5, */*", "text/plain"),
)
def test_what_a_backend_sent_is_a_reply_in_any_encoding(kind, body, reply, accept):
    found = tried(decode, kind, body, refuses=DecodeError)
    if found is not REFUSED:
        data, _ = tried(encode, reply, found, accept)
        assert isinstance(data, bytes)
        tried(merge, [found, {"a": {"b": 1}}, found])


@given(
    st.one_of(
        trees(TREE).map(json.dumps),
        texts('{"a": 1.50, "b": [1E+2, -0, 1e999, "\\ud83d\\ude00"]}', words=NUMBERS),
    )
)
def test_numbers_stay_as_they_were(text):
    found = tried(read_json, text.encode("utf-8", "surrogatepass"), refuses=ValueError)
    if found is not REFUSED:
        again = read_json(tried(write_json, found))
        assert read_json(write_json(again)) == again


@given(texts(XML, "<a><b/>c<b d='e'/></a>", words=MARKUP))
def test_xml_goes_there_and_back(text):
    found = tried(read_xml, text.encode("utf-8", "surrogatepass"), refuses=ValueError)
    if found is not REFUSED:
        assert isinstance(read_xml(tried(write_xml, found)), dict)


@given(st.one_of(texts(RSS, words=MARKUP), texts(ATOM, words=MARKUP)))
def test_any_feed_is_one_or_refused(text):
    found = tried(read_feed, text.encode("utf-8", "surrogatepass"), refuses=ValueError)
    if found is not REFUSED:
        assert isinstance(found["items"], list)
        tried(write_json, found)
