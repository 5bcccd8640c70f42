"""How crawlers, link previews, probes and HTTP libraries call themselves in User-Agent.

The list is plugmw's own, of names that their operators publish; it covers what Kong's bot-detection does
(``kong/plugins/bot-detection/rules.lua``). The time is linear in the length of the text: no pattern has
a loop without an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: Looked for anywhere, with their case; by what they do. Words with spider, scrape or crawl, and names that
#: always come with a version behind bot, indexer or archiver, need no entry.
_GROUPS: Final = {
    "search engines": """
        360JK|Aboundex|Accoona-|AcoonBot|AddSearchBot|AdsBot-Google|AlexaMediaBot|AppEngine-Google|
        Applebot|Ask Jeeves|AspiegelBot|bingbot|BingPreview|BoardReader|BUbiNG|Charlotte|
        Cliqzbot|coccocbot|CocCocBot|Convera|DataparkSearch|Daum/|Daumoa|DeuSu|DotBot|DuckAssistBot|
        DuckDuckBot|DuckDuckGo-Favicons|Exabot|FAST-Web|Feedfetcher-Google|findlinks|
        Flamingo_SearchEngine|GigablastOpenSource|Gigabot|Google Favicon|Google Web Preview|
        Google-Adwords|Google-AMPHTML|Google-Apps-Script|Google-CloudVertexBot|Google-Extended|
        Google-InspectionTool|Google-Read-Aloud|Google-Safety|Google-Site-Verification|
        Google-Structured-Data-Testing-Tool|Googlebot|GoogleImageProxy|GoogleOther|HooWWWer|htdig|
        ichiro/|IRLbot|IstellaBot|Kurzor|larbin|LinkWalker|Mail.RU_Bot|Mediapartners-Google|mogimogi|
        MojeekBot|MSIECrawler|msnbot|msrbot|naver.me|NerdByNature.Bot|Nutch|ObjectsSearch|OOZBOT|
        Openindex|Orbiter|PetalBot|Pompos|psbot|Qwantbot|Qwantify|Riddler|scooter|searchsight|
        seekbot|SeekportBot|semanticdiscovery|SeznamBot|Slurp|snappy|Sogou|Speedy|SputnikBot|Steeler|
        Teoma|Vagabondo|VoilaBot|WASALive|wminer|Wotbox|YaCy|yacybot|Yahoo! |YahooCacheSystem|
        YahooMailProxy|YahooSeeker|Yandex|Yanga|Yeti/|YioopBot|YodaoBot|YoudaoBot|YowedoBot|ZyBorg""",
    "archives, research, AI": """
        AI2Bot|Ai2Bot|Amazonbot|anthropic-ai|Archive-It|archive.org_bot|ArchiveTeam|CCBot|ChatGPT-User|
        Claude-User|Claude-Web|ClaudeBot|cohere-ai|Diffbot|GPTBot|heritrix|ia_archiver|ICC-|
        ImagesiftBot|Internet Archive|InternetArchive|InternetMeasurement|Kangaroo Bot|LCC (|
        meta-externalagent|Meta-ExternalAgent|meta-externalfetcher|MistralAI-User|NetcraftSurveyAgent|
        netEstate|netresearch|NL-Crawler|OAI-SearchBot|omgili|PanguBot|Perplexity-User|PerplexityBot|
        Timpibot|VelenPublicWeb|webcollage|YouBot""",
    "marketing, links, brands": """
        Adbeat|AdIdxBot|AhrefsBot|AhrefsSiteAudit|Awario|Barkrowler|BLEXBot|BomboraBot|BrandVerity|
        Clickagy|CognitiveSEO|ContentKing|CriteoBot|DataForSeoBot|DomainStatsBot|Ezooms|G2 Web Services|
        GrapeshotCrawler|LinkAider|linkdexbot|LinkisBot|linkpadbot|magpie-|MegaIndex|Mindupbot|MJ12bot|
        MuckRack|oegp|OgScrper|outbrain|Pandalytics|Panscient|PaperLiBot|Peeplo|proximic|Qualidator|
        RankActiveLinkBot|rogerbot|SBL-BOT|Screaming Frog|Semrush|SEOkicks|SEOstats|serpstatbot|SISTRIX|
        SiteCon|Siteimprove|Trendiction|TurnitinBot|TweetmemeBot|TwengaBot|WeSEE:|XoviBot|ZoomBot|
        ZoominfoBot""",
    "link previews and feeds": """
        Bitlybot|bitlybot|BlogBridge|Bloglovin|Bluesky Cardyb|CloudFlare-AlwaysOnline|Discordbot|
        Embedly|FacebookBot|facebookcatalog|facebookexternalhit|Feedbin|FeedBurner|FeedDemon|
        Feedfetcher|Feedly|Feedspot|FeedValidator|FlipboardProxy|Iframely|Linguee Bot|LinkedInBot|
        Mastodon/|MetaURI|Netvibes|NewsBlur|NewsGator|PagePeeker|Pinterestbot|redditbot|SimplePie|
        SimpleRSS|SkypeUriPreview|Slack-ImgProxy|Slackbot|Slackbot-LinkExpanding|Snacktory|SummalyBot|
        TelegramBot|Thumbshots|ThumbShotsBot|Tiny Tiny RSS|Twitterbot|URL2PNG|vkShare|WebThumb|WhatsApp|
        WordPress|ZooShot""",
    "probes, validators, scanners": """
        Catchpoint|censys|Checklinks|Cloudflare-Healthchecks|DareBoost|Datanyze|Detectify|
        Expanse, a Palo Alto|Genieo|GomezAgent|HttpMonitor|HTTrack|IonCrawl|KOCMOHABT|masscan|
        NewRelicPinger|Nikto|NIXStatsbot|Nmap|PagesInventory|PathDefender|PhantomJS|Pingdom|RecipeRadar|
        RuxitSynthetic|Scrapy|Site24x7|StatusCake|TLSProber|UptimeRobot|Validator.nu|W3C-checklink|
        W3C_CSS_Validator|W3C_Validator|Web-sniffer|WhatWeb|Xenu Link|Xenu's Link|YottaaMonitor|zgrab""",
    "HTTP libraries": """
        aihttp|Apache-HttpClient|axios|Go-http-client|Google-HTTP-Java-Client|http%20client|JNLP|
        okhttp|Python-urllib|reqwest|scalaj-http|unirest-|WinHTTP""",
}
NAMES: Final = tuple(name for group in _GROUPS.values() for name in re.split(r"\|\s*", group.lstrip()))

#: Names that need something round them, and what crawlers have in common.
_FORMS: Final = (
    r" PTST/\d+(?:\.\d+)?\Z",
    r"\b(?:[Bb]oto3?|JetS3t|s3fs|aws-(?:cli|sdk-[a-z]{2,10}))(?:[/-]|\Z)",
    r"Google.{0,50}/\+/web/snippet",
    r"\A(?:NING|Zao|[Vv]oyager/|[Vv]ortex)",
    r"\b(?:008|Altresium|Argus|BaiduMobaider|DNSGroup|EDI|Goodzer|Grub|INGRID|Infohelfer|LOOQ|Peew"
    r"|PostPost|VSE|WebCrunch|WebZIP|WIRE|Y!J-[A-Z]{3}|envolk|holmes|sproose)/\d",
    # /name-1.0
    r"/(?:[A-Za-z]{1,40}(?:[Bb]ot|[Ss]pider)|(?:Ant-)?Nutch|Axtaris|fetchurl|Isara|ShopSalad"
    r"|Tailsweep)[ -]\d",
    # name/1.0 and name 1.0
    r"(?:[Aa]rchiver|[Ii]ndexer|[Ss]craper|[Bb]ot|[Ss]pider|[Cc]rawl[a-z]{0,40})[/ ]v?\d",
    r"[Ss][Pp][Ii][Dd][Ee][Rr]|[Ss]crape|[Cc][Rr][Aa][Ww][Ll]",
)


def _one_of(words: Iterable[str]) -> str:
    """Return a pattern for any of ``words`` that looks at each character once, whatever their number."""
    rest: dict[str, list[str]] = {}
    for word in words:
        rest.setdefault(word[:1], []).append(word[1:])
    if "" in rest:
        return ""  # a shorter word is enough
    return "(?:" + "|".join(re.escape(head) + _one_of(tails) for head, tails in rest.items()) + ")"


_found: Final = tuple(re.compile(form).search for form in (_one_of(NAMES), *_FORMS))


def is_crawler(agent: str) -> bool:
    """Say whether a User-Agent is one of a program that nobody sits in front of."""
    return any(found(agent) for found in _found)
