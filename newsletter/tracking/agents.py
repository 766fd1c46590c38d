"""Which program asked: a mail program, a proxy, a browser, a scanner, told from its `User-Agent`.

One table, first match wins. An agent says what a program calls itself and nothing more: scanners
call themselves browsers, so the rules (`tracking.rules`) look at more than this. Each program has
one canonical agent, its shortest; rules compare programs, never agents, so an agent can be cut to
its canonical form (`coarse`) and every rule answers as before.

Sources: ua-parser/uap-core 170 and 509, faisalman/ua-parser-js 494, help.yahoo.com SLN28749;
"Gmail App Prefetching Images" (messagebird.com, 2022-01-25); "How can I identify bot user agents"
(suped.com); "Bot clicks from security scanners" (live-direct-marketing.online).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Nature(StrEnum):
    """What a request of such a program says of a person."""

    AHEAD = "ahead"  # loads every mail's images before anybody opens it
    PROXY = "proxy"  # loads on a reader's behalf, when they open the mail
    RELAY = "relay"  # loads on a reader's behalf, perhaps before they open it
    SCANNER = "scanner"  # a filter, a crawler, a link preview, a library: nobody sits before it
    MAIL = "mail"  # a mail program, which loads what it shows
    BROWSER = "browser"  # or what calls itself one
    OTHER = "other"  # names itself as nothing we know
    NONE = "none"  # says nothing


@dataclass(frozen=True, slots=True)
class Program:
    """name: in a few words, for people. agent: its canonical agent. marks: what tells it, in lower
    case, any of them. is_whole: the agent is a mark, and does not merely hold one.
    """

    name: str
    nature: Nature
    agent: str
    marks: tuple[str, ...]
    is_whole: bool = False

    def is_in(self, lowered: str) -> bool:
        if self.is_whole:
            return lowered in self.marks
        return any(mark in lowered for mark in self.marks)


_BROWSER = "a browser"
_SCANNER = "a scanner"
_LIBRARY = "a script"
_PREVIEW = "a link preview"

_CUBOT = re.compile(r"\bcubot\b")  # makes phones, which say so: no robot

NOTHING = Program("unknown", Nature.NONE, "", ())
ANYTHING = Program("unknown", Nature.OTHER, "unknown", ())

# First the proxies, which carry a browser's name along; then machines, which do so too; then mail
# programs, whose agents end in their own name; browsers last, the most copied name of them last.
PROGRAMS: tuple[Program, ...] = (
    Program("Apple Mail (prefetch)", Nature.AHEAD, "Mozilla/5.0", ("mozilla/5.0",), is_whole=True),
    # Sent beside, and before, the proxy's own request, while the reader's Gmail happens to be open.
    Program(
        "Gmail (prefetch)",
        Nature.AHEAD,
        "Edge/12.246 Mozilla/5.0",
        ("edge/12.246 mozilla/5.0",),
    ),
    Program("Gmail", Nature.PROXY, "GoogleImageProxy", ("googleimageproxy", "ggpht.com")),
    Program("Yahoo Mail", Nature.RELAY, "YahooMailProxy", ("yahoomailproxy", "yahoocachesystem")),
    Program("Proton Mail", Nature.RELAY, "ProtonMail", ("protonmail",)),
    Program("DuckDuckGo", Nature.RELAY, "DuckDuckGo-Email", ("duckduckgo-email",)),
    Program(
        _SCANNER,
        Nature.SCANNER,
        "Existence Discovery",
        ("existence discovery", "safelinks", "microsoftpreview", "bingpreview"),
    ),
    Program(
        _SCANNER,
        Nature.SCANNER,
        "scanner",
        (
            *("barracuda", "proofpoint", "mimecast", "messagelabs", "symantec", "ironport"),
            *("ciscosecureemail", "trendmicro", "trend micro", "tmes", "fortinet", "fortimail"),
            *("sophos", "f-secure", "withsecure", "fireeye", "trellix", "mcafee", "zscaler"),
            *("cloudmark", "vadesecure", "vade secure", "avanan", "checkpoint", "hornetsecurity"),
            *("spamtitan", "mailmarshal", "trustwave", "forcepoint", "websense", "kaspersky"),
            *("bitdefender", "urlscan", "virustotal", "phishtank", "netcraft", "spamhaus"),
            *("mailscanner", "spamassassin", "rspamd", "linkscan", "linkcheck", "scanner"),
        ),
    ),
    Program(
        _PREVIEW,
        Nature.SCANNER,
        "preview",
        (
            *("facebookexternal", "slackbot", "slack-imgproxy", "twitterbot", "linkedinbot"),
            *("whatsapp", "telegrambot", "discordbot", "skypeuripreview", "embedly", "iframely"),
            *("google-pagerenderer", "snap url preview", "preview"),
        ),
    ),
    Program(
        "a robot",
        Nature.SCANNER,
        "robot",
        (
            *("bot/", "bot;", "bot)", "robot", "bot ", "-bot", "crawl", "spider", "slurp"),
            *("google-read-aloud", "apis-google", "feedfetcher", "googleother", "archiver"),
            *("headless", "phantomjs", "puppeteer", "playwright", "selenium", "webdriver"),
            *("monitor", "uptime", "pingdom"),
        ),
    ),
    Program(
        _LIBRARY,
        Nature.SCANNER,
        "script",
        (
            *("script", "curl/", "libcurl", "wget", "python", "aiohttp", "httpx", "urllib"),
            *("go-http-client", "go-resty", "apache-http", "jakarta", "java/", "java-http"),
            *("jetty", "okhttp", "ahc/", "axios", "node-fetch", "undici", "got (", "superagent"),
            *("libwww", "lwp::", "perl", "ruby", "faraday", "http.rb", "typhoeus", "guzzle"),
            *("php/", "lua-resty", "postman", "insomnia", "winhttp", "webclient", "powershell"),
            *("httpclient", "http client", "amazon cloudfront", "testclient"),
        ),
    ),
    # Without `Safari` at its end: Mail, or a proxy of Apple's that does not keep to `Mozilla/5.0`.
    # Told below, where every browser that also speaks of WebKit had its turn.
    Program("Outlook", Nature.MAIL, "Outlook", ("outlook", "msoffice", "ms-office")),
    Program("Outlook", Nature.MAIL, "Microsoft Office", ("microsoft office",)),
    Program("Thunderbird", Nature.MAIL, "Thunderbird", ("thunderbird", "betterbird")),
    Program("K-9 Mail", Nature.MAIL, "K-9 Mail", ("k-9 mail", "k9mail")),
    Program("Samsung Email", Nature.MAIL, "Samsung Email", ("samsung email", "samsungemail")),
    Program("Airmail", Nature.MAIL, "Airmail", ("airmail",)),
    Program("Postbox", Nature.MAIL, "Postbox", ("postbox",)),
    Program("eM Client", Nature.MAIL, "eMClient", ("emclient", "em client")),
    Program("Mailbird", Nature.MAIL, "Mailbird", ("mailbird",)),
    Program("The Bat!", Nature.MAIL, "The Bat!", ("the bat!",)),
    Program("Evolution", Nature.MAIL, "Evolution", ("evolution/", "evolution")),
    Program("KMail", Nature.MAIL, "KMail", ("kmail",)),
    Program("Windows Mail", Nature.MAIL, "Windows Mail", ("windows-live-mail", "windows mail")),
    Program("Lotus Notes", Nature.MAIL, "Lotus-Notes", ("lotus-notes", "hcl notes")),
    # Background services of Apple's systems, which also fetch for programs that load ahead.
    Program("an app by Apple's systems", Nature.RELAY, "CFNetwork", ("cfnetwork", "dataaccessd")),
    Program("an app on Android", Nature.RELAY, "Dalvik", ("dalvik",)),
    Program(_BROWSER, Nature.BROWSER, "Edg/", ("edg/", "edge/", "edga/", "edgios/")),
    Program(_BROWSER, Nature.BROWSER, "Opera", ("opr/", "opera", "opios/")),
    Program(_BROWSER, Nature.BROWSER, "SamsungBrowser", ("samsungbrowser",)),
    Program(_BROWSER, Nature.BROWSER, "Vivaldi", ("vivaldi",)),
    Program(_BROWSER, Nature.BROWSER, "Firefox", ("firefox", "fxios/")),
    Program(_BROWSER, Nature.BROWSER, "Chrome", ("chrome", "crios/", "chromium")),
    Program(_BROWSER, Nature.BROWSER, "Safari", ("safari", "duckduckgo/")),
    Program(_BROWSER, Nature.BROWSER, "Trident", ("trident", "msie ")),
    Program("Apple Mail", Nature.RELAY, "AppleWebKit", ("applewebkit",)),
)


@lru_cache(maxsize=4_096)  # an issue's readers share some hundred agents
def program_of(agent: str) -> Program:
    """The program behind an agent, of `PROGRAMS`; never raises, whatever the agent is."""
    lowered = _CUBOT.sub("", agent.strip().lower())
    if not lowered:
        return NOTHING
    return next((one for one in PROGRAMS if one.is_in(lowered)), ANYTHING)


def client_of(agent: str) -> str:
    """The mail program or proxy in a few words: `Gmail`, `Thunderbird`, `a browser`, `unknown`."""
    return program_of(agent).name


def nature_of(agent: str) -> Nature:
    """What a request of this agent says of a person."""
    return program_of(agent).nature


def coarse(agent: str) -> str:
    """What is kept of an agent after 30 days: the canonical one of its program.

    `program_of` answers the same for both, and so does every rule.
    """
    return program_of(agent).agent
