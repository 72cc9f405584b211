"""What the simulated model knows of the world before it has read a prompt: a few kinds of things, crudely.

Written by hand for this project, general on purpose: no corpus, no data set and no label of one went into it.
"""

from __future__ import annotations

import re
from functools import lru_cache


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP = _set(
    "a an the this that these those it its he she they we you i his her their our your my who whom which "
    "what when where why how there here and or but nor so yet if then than as of in on at by to from for "
    "with without into onto over under after before during since until while about against between "
    "through via per within is are was were be been being am do does did has have had will would can "
    "could may might must shall should not no nor only also just very more most much many some any all "
    "each every both either other another such own same too one two three said says say told now still "
    "even however because although though up down out off again once s t 's n't 're 've 'll 'd"
)
VERBS = _set(
    "use uses used using run runs running make makes made set sets call calls called send sends sent "
    "write writes read reads store stores stored need needs get gets give gives given take takes keep "
    "keeps kept hold holds create creates created add adds added remove removes start starts started stop "
    "stops show shows return returns allow allows require requires support supports provide provides "
    "contain contains include includes replace replaces depend depends expose exposes handle handles fail "
    "fails become becomes let lets work works serve serves served deploy deploys deployed became went "
    "came saw left put build builds built connect connects written expires expire listens listen waits "
    "wait moves move follows follow checks check"
)
MONTHS = _set(
    "january february march april may june july august september october november december jan feb mar "
    "apr jun jul aug sep sept oct nov dec"
)
DAYS = _set("monday tuesday wednesday thursday friday saturday sunday")
NUMBER_WORDS = _set(
    "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred "
    "thousand million billion"
)
UNITS = _set(
    "percent % million billion thousand hundred dollars years year months month days day hours hour "
    "minutes minute seconds second miles mile feet kilometers km kg tons mph degrees people votes ms gb "
    "mb kb gib mib tb requests nodes times bytes cores replicas gmt acres metres meters tonnes a.m a.m. "
    "p.m p.m. pounds inches"
)
TITLES = _set(
    "mr mrs ms miss dr sir lord lady president senator sen rep gov governor gen general col capt sgt lt "
    "judge justice king queen prince princess pope minister secretary chairman director professor prof "
    "rev mayor ambassador chief attorney captain major colonel lieutenant officer commissioner democrat "
    "republican"
)
ROLES = _set(
    "president director chairman minister secretary spokesman spokeswoman leader officer manager editor "
    "lawyer author actor actress singer wife husband son daughter brother sister father mother assassin "
    "killer physicist poet engineer scientist born"
)
FIRST_NAMES = _set(
    "john james robert michael william david richard joseph thomas charles mary patricia jennifer linda "
    "elizabeth barbara susan george paul peter mark lee jack henry anna maria jose juan carlos ali ahmed "
    "kim martin ronald edward frank harry walter bill jim bob tom joe dan sam ben steve anne jane alice "
    "albert alexander andrew anthony arthur benjamin bruce christopher daniel dennis donald douglas eric "
    "eugene fred gary gerald gordon howard jeff jerry jimmy kenneth kevin larry lawrence louis mike nancy "
    "pat philip ralph ray roger roy ruth samuel sarah stephen ted tim timothy victor wayne helen karen "
    "laura lisa margaret marie martha rose ivan boris sergei mikhail vladimir hans karl pierre jean "
    "francois luis pedro jorge fernando mohammed hussein yasser"
)
PLACES = _set(
    "america europe asia africa china japan russia france germany italy spain britain england scotland "
    "ireland india canada mexico brazil argentina chile peru colombia venezuela panama nicaragua honduras "
    "salvador haiti cuba israel egypt jordan lebanon syria iran iraq kuwait libya sudan ethiopia kenya "
    "nigeria angola turkey greece poland hungary austria switzerland sweden norway finland denmark "
    "belgium netherlands portugal romania bulgaria serbia croatia bosnia ukraine vietnam thailand "
    "indonesia malaysia philippines singapore australia korea taiwan pakistan afghanistan bangladesh u.s. "
    "u.s usa u.k. london paris moscow tokyo washington york chicago boston philadelphia houston dallas "
    "detroit atlanta miami hollywood manhattan brooklyn seattle denver cleveland pittsburgh angeles "
    "francisco diego orleans vegas berlin rome madrid vienna prague warsaw budapest beijing shanghai "
    "seoul delhi jerusalem cairo baghdad tehran beirut havana alabama alaska arizona arkansas california "
    "colorado connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky "
    "louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana nebraska "
    "nevada jersey hampshire carolina dakota ohio oklahoma oregon pennsylvania tennessee texas utah "
    "vermont virginia wisconsin wyoming ala. ark. ariz. calif. colo. conn. del. fla. ga. ill. ind. kan. "
    "ky. la. mass. md. mich. minn. miss. mo. mont. neb. nev. n.c. n.d. n.h. n.j. n.m. n.y. okla. ore. pa. "
    "s.c. s.d. tenn. tex. va. vt. wash. wis. d.c."
)
PLACE_WORDS = _set(
    "city county river lake mount mountain island islands coast bay valley street avenue north south east "
    "west northern southern state republic kingdom province district port beach hills"
)
ORG_WORDS = _set(
    "inc inc. corp corp. co co. ltd company university college school institute department ministry "
    "committee commission council congress senate party agency bank association society union court "
    "bureau service administration board center centre office army navy force police press news radio "
    "times post church hospital foundation federation organization group team club systems industries "
    "airlines house fund"
)
TOOL_WORDS = _set(
    "server service cluster database api sdk cli library framework engine driver plugin tool client proxy "
    "cache queue broker gateway agent operator controller scheduler runtime compiler kernel module "
    "package protocol"
)
CAUSE_WORDS = _set(
    "kill killed killing shot shooting murder murdered assassin assassinated assassination slain"
)

# Words of a type's name or description, by their first letters, and the kind they point at.
HINTS = {
    "person": ("person", "people", "peop", "human", "author", "individual"),
    "place": ("loc", "place", "city", "countr", "region", "geo", "gpe", "address"),
    "org": ("org", "compan", "institut", "agenc", "team", "vendor"),
    "acronym": ("org", "compan", "protocol", "format", "standard"),
    "compound": ("service", "component", "module", "job", "app", "process", "package"),
    "setting": ("setting", "config", "parameter", "option", "variable", "flag", "key", "field"),
    "date": ("date", "time", "year", "deadline"),
    "quantity": (
        "quantit",
        "number",
        "metric",
        "amount",
        "measure",
        "limit",
        "value",
        "threshold",
        "size",
        "port",
    ),
    "code": (
        "tech",
        "tool",
        "product",
        "software",
        "command",
        "file",
        "librar",
        "api",
        "protocol",
        "format",
        "version",
        "identifier",
        "language",
        "resource",
    ),
    "term": (
        "concept",
        "process",
        "feature",
        "method",
        "event",
        "material",
        "document",
        "role",
        "part",
        "error",
    ),
}
_LETTERS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=4096)
def name_words(name: str) -> tuple[str, ...]:
    """The words of a type's name: Live_In, LiveIn and LIVE_IN are all (live, in)."""
    return tuple(word.lower() for word in _LETTERS.findall(name))


@lru_cache(maxsize=4096)
def kinds_hinted(type_name: str, description: str) -> tuple[str, ...]:
    """The kinds of things that a type's own words point at, its name before its description."""
    found: list[str] = []
    for words in (name_words(type_name), name_words(description)[:24]):
        for kind, stems in HINTS.items():
            if kind not in found and any(word.startswith(stems) for word in words):
                found.append(kind)
        if found:
            break
    return tuple(found)
