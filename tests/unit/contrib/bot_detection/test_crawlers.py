"""The list of crawlers: what it finds, and how long it takes."""

from __future__ import annotations

from plugmw.contrib.bot_detection.crawlers import NAMES, is_crawler

CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/36.0.1985.125 Safari/537.36"
)
PEOPLE = [
    CHROME,
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 8.1.0; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/85.0",
    "HelloWorld",
    "curl/7.43.0",
    "python-requests/2.32.3",
    "",
]


def test_passes_people():
    assert [agent for agent in PEOPLE if is_crawler(agent)] == []


CRAWLERS = [
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "facebookexternalhit/1.1",
    "Twitterbot/1.0",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "Mozilla/5.0 (en-us) AppleWebKit/534.14 (KHTML, like Gecko; Google Wireless; Google, Inc/+/web/snippet)",
    f"{CHROME} PTST/396",
    f"{CHROME} PTST/190628.1",
    "Boto/2.48.0 Python/2.7",
    "Boto3/1.28.62",
    "aws-cli/2.0.0",
    "aws-sdk-java/1.11",
    "JetS3t/0.9",
    "s3fs/1.80",
    "Google-HTTP-Java-Client/1.17",
    "Apache-HttpClient/4.5",
    "Go-http-client/1.1",
    "scalaj-http/1.0",
    "Python-urllib/3.11",
    "okhttp/4.9.0",
    "aihttp/1.0",
    "reqwest/0.11",
    "axios/1.6.0",
    "unirest-java/1.3.11",
    "WinHTTP",
    "JNLP/6.0",
    "HttpMonitor/1.0",
    "TLSProber/0.1",
    "AdsBot-Google (+http://www.google.com/adsbot.html)",
    "Mozilla/5.0 (compatible; YandexImages/3.0)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp)",
    "MJ12bot/v1.4.5",
    "SemrushBot-SA",
    "Scrapy/2.11",
    "Slackbot-LinkExpanding 1.0",
    "WhatsApp/2.21",
    "ia_archiver",
    "Mozilla/4.0 (compatible; /Nutch-1.0)",
    "Mozilla/5.0 /SomeBot-2",
    "x/OtherSpider 3",
    "008/0.83",
    "AcmeArchiver/1.0",
    "AcmeIndexer 2",
    "AcmeScraper/1",
    "AcmeBot/3.2",
    "AcmeCrawler/3.2",
    "AcmeSpider 1.0",
    "some spider of ours",
    "weScrapeYou",
    "MYCRAWLS",
]


def test_finds_crawlers():
    assert [agent for agent in CRAWLERS if not is_crawler(agent)] == []


def test_finds_every_name_of_the_list():
    assert all(name.strip() for name in NAMES)
    assert [name for name in NAMES if not is_crawler(f"Mozilla/5.0 (compatible; {name})")] == []


def test_no_name_is_there_twice():
    assert len(set(NAMES)) == len(NAMES) > 250
