"""RSS 2.0 and Atom feeds as maps, with the members that KrakenD's ``rss`` encoding gives them.

A feed has ``title``, ``description``, ``items`` and so on, an item ``title``, ``link``, ``published`` and so
on; members of an item that it does not have are absent. Of extensions ``dc:creator`` and ``content:encoded``
count. Source: ``krakend-rss`` and the gofeed library that it uses; JSON feeds are not read.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from plugmw.dialects.krakend.xml_maps import TEXT, read_xml

Map = dict[str, object]
#: ``me@example.com (Me)``, as RSS has its authors.
_MAILBOX: Final = re.compile(r"(\S+@\S+)(?:\s+\((.*)\))?")
_FRACTION: Final = re.compile(r"\.(\d+)")


def read_feed(data: bytes) -> Map:
    """Return a feed as a map; raises ``ValueError``."""
    document = read_xml(data)
    if "rss" in document:
        return _rss(_map(_map(document["rss"]).get("channel")))
    if "feed" in document:
        return _atom(_map(document["feed"]))
    raise ValueError("neither an RSS 2.0 nor an Atom feed")


def _rss(channel: Map) -> Map:
    result: Map = {
        "author": _person(channel, "managingEditor", "webMaster", "creator"),
        "categories": _texts(channel, "category") or None,
        "copyright": _text(channel, "copyright"),
        "custom": None,
        "description": _text(channel, "description"),
        "items": [_rss_item(_map(item)) for item in _list(channel, "item")],
        "language": _text(channel, "language"),
        "published": _text(channel, "pubDate"),
        "title": _text(channel, "title"),
        "type": "rss",
        "updated": _text(channel, "lastBuildDate"),
    }
    image = _text(_map(channel.get("image")), "url")
    return {**result, "img_url": image} if image else result


def _rss_item(item: Map) -> Map:
    author = _person(item, "author", "creator")
    enclosures = [
        {name: one.get(f"-{name}", "") for name in ("url", "length", "type")}
        for one in map(_map, _list(item, "enclosure"))
    ]
    return _without_empty(
        {
            "title": _text(item, "title"),
            "description": _text(item, "description"),
            "content": _text(item, "encoded"),
            "link": _text(item, "link"),
            "links": _texts(item, "link"),
            **_dated("published", _text(item, "pubDate")),
            "author": author,
            "authors": [author] if author else None,
            "guid": _text(item, "guid"),
            "categories": _texts(item, "category"),
            "enclosures": enclosures,
        }
    )


def _atom(feed: Map) -> Map:
    result: Map = {
        "author": _person(feed, "author"),
        "categories": _attributes(feed, "category", "-term") or None,
        "copyright": _text(feed, "rights"),
        "custom": None,
        "description": _text(feed, "subtitle"),
        "items": [_atom_item(_map(entry)) for entry in _list(feed, "entry")],
        "language": feed.get("-lang", ""),
        "published": "",
        "title": _text(feed, "title"),
        "type": "atom",
        "updated": _text(feed, "updated"),
    }
    image = _text(feed, "logo")
    return {**result, "img_url": image} if image else result


def _atom_item(entry: Map) -> Map:
    author = _person(entry, "author")
    links = _attributes(entry, "link", "-href")
    return _without_empty(
        {
            "title": _text(entry, "title"),
            "description": _text(entry, "summary"),
            "content": _text(entry, "content"),
            "link": links[0] if links else "",
            "links": links,
            **_dated("updated", _text(entry, "updated")),
            **_dated("published", _text(entry, "published") or _text(entry, "updated")),
            "author": author,
            "authors": [author] if author else None,
            "guid": _text(entry, "id"),
            "categories": _attributes(entry, "category", "-term"),
        }
    )


def _without_empty(members: Map) -> Map:
    return {name: value for name, value in members.items() if value}


def _list(members: Map, name: str) -> list[object]:
    found = members.get(name)
    return found if isinstance(found, list) else [] if found is None else [found]


def _map(value: object) -> Map:
    found = value[0] if isinstance(value, list) else value
    return found if isinstance(found, dict) else {}


def _texts(members: Map, name: str) -> list[str]:
    texts = (one.get(TEXT) if isinstance(one, dict) else one for one in _list(members, name))
    return [text for text in texts if isinstance(text, str) and text]


def _text(members: Map, name: str) -> str:
    return next(iter(_texts(members, name)), "")


def _attributes(members: Map, name: str, attribute: str) -> list[str]:
    texts = (one.get(attribute) for one in _list(members, name) if isinstance(one, dict))
    return [text for text in texts if isinstance(text, str) and text]


def _person(members: Map, *names: str) -> Map | None:
    """Return who wrote something: Atom's elements, an RSS mailbox, or any text as a name."""
    for name in names:
        inside = _map(members.get(name))
        if inside:
            return _without_empty({"name": _text(inside, "name"), "email": _text(inside, "email")}) or None
        text = _text(members, name)
        mailbox = _MAILBOX.fullmatch(text)
        if mailbox:
            return _without_empty({"name": mailbox[2], "email": mailbox[1]})
        if text:
            return {"name": text}
    return None


def _microseconds(fraction: re.Match[str]) -> str:
    """Return a fraction of a second in six digits: Python 3.10 reads no other number of them."""
    return f".{fraction[1][:6]:0<6}"


def _dated(name: str, text: str) -> Map:
    """Return a date as it is written, and in UTC where it can be read."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        try:
            date = datetime.fromisoformat(_FRACTION.sub(_microseconds, text.replace("Z", "+00:00")))
        except ValueError:
            return {name: text}
    try:
        utc = date.astimezone(timezone.utc) if date.tzinfo else date
    except OverflowError:  # before the year 1, or after 9999
        return {name: text}
    return {name: text, f"{name}Parsed": f"{utc:%Y-%m-%dT%H:%M:%SZ}"}
