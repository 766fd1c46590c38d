"""Agents: which program asked, and that a coarse agent says as much as the one it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.tracking import agents
from newsletter.tracking.agents import Nature

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
PREFETCH_OF_GMAIL = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)

BROWSER = Nature.BROWSER
KNOWN = [
    ("", "unknown", Nature.NONE),
    ("   ", "unknown", Nature.NONE),
    ("Mozilla/5.0", "Apple Mail (prefetch)", Nature.AHEAD),
    (PREFETCH_OF_GMAIL, "Gmail (prefetch)", Nature.AHEAD),
    (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "Gmail",
        Nature.PROXY,
    ),
    (
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Yahoo Mail",
        Nature.RELAY,
    ),
    ("Microsoft Office Existence Discovery", "a scanner", Nature.SCANNER),
    ("Barracuda Sentinel (EE)", "a scanner", Nature.SCANNER),
    ("python-requests/2.32.3", "a script", Nature.SCANNER),
    ("curl/8.5.0", "a script", Nature.SCANNER),
    ("Go-http-client/2.0", "a script", Nature.SCANNER),
    (CHROME.replace("Chrome/", "HeadlessChrome/"), "a robot", Nature.SCANNER),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com)", "a robot", Nature.SCANNER),
    ("Mozilla/5.0 (compatible; acme bot v2)", "a robot", Nature.SCANNER),
    (CHROME.replace("X11; Linux x86_64", "Linux; Android 13; CUBOT X30"), "a browser", BROWSER),
    (CHROME.replace("X11; Linux x86_64", "Linux; Android 9; CUBOT"), "a browser", BROWSER),
    ("Slackbot-LinkExpanding 1.0", "a link preview", Nature.SCANNER),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0)", "Outlook", Nature.MAIL),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
        "Thunderbird",
        Nature.MAIL,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Apple Mail",
        Nature.RELAY,
    ),
    (f"{CHROME} Safari/537.36", "a browser", Nature.BROWSER),
    (f"{CHROME} Safari/537.36 Edg/130.0.0.0", "a browser", Nature.BROWSER),
    (SAFARI, "a browser", Nature.BROWSER),
    ("something quite else", "unknown", Nature.OTHER),
]


@pytest.mark.parametrize(("agent", "name", "nature"), KNOWN)
def test_a_known_agent_is_told(agent: str, name: str, nature: Nature) -> None:
    assert (agents.client_of(agent), agents.nature_of(agent)) == (name, nature)


def test_apples_prefetch_is_exactly_its_two_words_and_not_what_begins_like_them() -> None:
    assert agents.nature_of("Mozilla/5.0 (compatible)") is not Nature.AHEAD


def test_browsers_are_told_apart_though_people_read_one_name() -> None:
    chrome, safari = agents.program_of(f"{CHROME} Safari/537.36"), agents.program_of(SAFARI)
    assert chrome != safari
    assert chrome.name == safari.name == "a browser"


@pytest.mark.parametrize("program", [*agents.PROGRAMS, agents.NOTHING, agents.ANYTHING])
def test_every_canonical_agent_is_its_own_programs(program: agents.Program) -> None:
    assert agents.program_of(program.agent) is program
    assert agents.coarse(program.agent) == program.agent
    assert len(program.agent) <= 24


_WORDS = st.sampled_from(
    sorted({mark for one in agents.PROGRAMS for mark in one.marks} | {"Mozilla/5.0", "Version/1"})
)
_AGENTS = st.one_of(
    st.sampled_from([agent for agent, _name, _nature in KNOWN]),
    st.lists(_WORDS, max_size=4).map(" ".join),
    st.tuples(st.text(max_size=20), _WORDS, st.text(max_size=20)).map("".join),
    st.text(max_size=60),
)


@given(_AGENTS)
def test_a_coarse_agent_is_the_same_programs_and_stays_what_it_is(agent: str) -> None:
    kept = agents.coarse(agent)
    assert agents.program_of(kept) is agents.program_of(agent)
    assert agents.coarse(kept) == kept
