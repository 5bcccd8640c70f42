"""XML as maps and back: KrakenD's conventions, and what untrusted documents cannot do."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.exact_json import read_json
from plugmw.dialects.krakend.xml_maps import read_xml, write_xml
from plugmw.wsgi.safe_xml import MAX_DEPTH

DOCUMENTS = {
    "empty element": ("<a/>", {"a": ""}),
    "text": ("<a> t\n</a>", {"a": "t"}),
    "attributes": ('<a x=" 1 " y=""/>', {"a": {"-x": " 1 ", "-y": ""}}),
    "attribute and text": ('<a x="1">t</a>', {"a": {"-x": "1", "#text": "t"}}),
    "elements": ("<a>\n <b>1</b><c/></a>", {"a": {"b": "1", "c": ""}}),
    "repeated elements": ("<a><b>1</b><b/><b><c/></b></a>", {"a": {"b": ["1", "", {"c": ""}]}}),
    "attribute and element of one name": ('<a b="1"><b>2</b></a>', {"a": {"-b": "1", "b": "2"}}),
    "prefixes": ('<x:a xmlns:x="u" x:y="1"><x:b/></x:a>', {"a": {"-x": "u", "-y": "1", "b": ""}}),
    "declaration after space": (' \n<?xml version="1.0"?><a>1</a>', {"a": "1"}),
    "doctype": ("<!DOCTYPE a><a>1</a>", {"a": "1"}),
    "XML's own entities": ("<a>&lt;&#65;<![CDATA[<x>]]></a>", {"a": "<A<x>"}),
    "comments and instructions": ("<!-- c --><a><?x y?>1<!-- d -->2</a>", {"a": "12"}),
    "mixed content": ("<a>t<b>1</b>u</a>", {"a": {"#text": "tu", "b": "1"}}),
    "what follows the root": ("<a/> t <b>", {"a": ""}),
}


@pytest.mark.parametrize(("document", "found"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_reads_a_document_as_a_map(document, found):
    assert read_xml(document.encode()) == found


def test_reads_other_encodings():
    assert read_xml(b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xe9</a>') == {"a": "é"}


REFUSED = {
    "nothing": "",
    "text": "x",
    "cut short": "<a>",
    "wrong end": "<a></b>",
    "unknown encoding": '<?xml version="1.0" encoding="x-none"?><a/>',
    "no UTF-8": b"<a>\xff</a>",
    "unknown entity": "<a>&nbsp;</a>",
    "entity of its own": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "attribute of its own": '<!DOCTYPE a [<!ATTLIST b c CDATA "d">]><a><b/></a>',
    "entity that is not used": '<!DOCTYPE a [<!ENTITY x "y">]><a/>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "entity of an external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a>&x;</a>',
    "billion laughs": '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><a>&y;</a>',
    "too deep": "<a>" * (MAX_DEPTH + 1),
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_refuses_what_is_no_plain_document(document):
    with pytest.raises(ValueError, match=r".+"):
        read_xml(document if isinstance(document, bytes) else document.encode())


MAPS = {
    "one member is the root": ('{"a":"t"}', "<a>t</a>"),
    "several are in doc": ('{"b":2,"a":1.50}', "<doc><a>1.50</a><b>2</b></doc>"),
    "none": ("{}", "<doc/>"),
    "a list": ('{"a":[1,[2,3]]}', "<doc><a>1</a><a>2</a><a>3</a></doc>"),
    "an empty list": ('{"a":[],"b":[]}', "<doc><a/><b/></doc>"),
    "an empty list alone": ('{"a":[]}', "<a/>"),
    "maps": ('{"a":{"b":{"c":[1,"x"]}}}', "<a><b><c>1</c><c>x</c></b></a>"),
    "empty values": ('{"a":null,"b":"","c":{}}', "<doc><a/><b/><c/></doc>"),
    "truth": ('{"a":true,"b":false}', "<doc><a>true</a><b>false</b></doc>"),
    "attributes": ('{"a":{"-x":1,"#text":"t"}}', '<a x="1">t</a>'),
    "attributes and elements": ('{"-x":true,"b":"t"}', '<doc x="true"><b>t</b></doc>'),
    "text and elements": ('{"a":{"#text":"t","b":1}}', "<a>t<b>1</b></a>"),
    "escapes": (r'{"a":"<&>\"' + "'\"}", "<a>&lt;&amp;&gt;&quot;&apos;</a>"),
    "escapes of attributes": (r'{"a":{"-x":"<\"&"}}', '<a x="&lt;&quot;&amp;"/>'),
    "structure where only text can be": ('{"a":{"-x":[1],"b":1}}', '<a x=""><b>1</b></a>'),
    "names that XML has not": ('{"":1,"1a":2,"b <c":3}', "<doc><_>1</_><_1a>2</_1a><b__c>3</b__c></doc>"),
    "characters that XML has not": (r'{"a":"\u0001x\ud800"}', "<a>x</a>"),
}


@pytest.mark.parametrize(("data", "document"), MAPS.values(), ids=MAPS)
def test_writes_a_map_as_a_document(data, document):
    assert write_xml(read_json(data.encode())).decode() == document


def test_what_is_written_is_read_again():
    data = {"user": {"-id": "7", "#text": "&", "tag": ["a", "b"]}}
    assert read_xml(write_xml(data)) == data
