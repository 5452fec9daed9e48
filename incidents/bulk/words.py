"""What people of an AI platform's support write: sentences put together from parts, the same for the same seed.

PURE. Turkish and accented words are among them, for search must fold them; a `RARE` word stands in one text
of many thousands, “requests” in a large share.
"""

from __future__ import annotations

from random import Random


def _apart(between: str | None, text: str) -> list[str]:
    """The parts of a text that is written in one piece, so that the lists stay short to read."""
    return text.split(between)


SERVICES = [
    ("Inference API", "Completions and embeddings over HTTPS"),
    ("Model Studio", "Fine-tuning and evaluation"),
    ("Vector Store", "Indexes and similarity search"),
    ("Agent Runtime", "Tools, schedules and long-running agents"),
    ("Console", "Dashboards, keys and usage"),
    ("Data Connectors", "Ingestion from databases and drives"),
    ("Batch Jobs", "Large jobs at night"),
    ("Speech Gateway", "Transcription and voices"),
    ("Vision API", "Documents and images"),
    ("Guardrails", "Filters and policies"),
    ("Identity", "Sign-in and roles"),
    ("Billing", "Usage and invoices"),
]
GIVEN = _apart(
    None,
    "Ada Ali Ayşe Barış Bruno Can Carla Çağla Chloé Deniz Diego Ece Elif Emre Fatma Gökhan Greta Gül Hakan "
    "İbrahim Ilgın Inès Işıl Jürgen Kerem Lale Léa Mehmet Mert Naïma Nils Oğuz Özge Pınar Renée Selin Søren "
    "Şule Tomás Uğur Ümit Vera Yağmur Zeynep",
)
FAMILY = _apart(
    None,
    "Arslan Aydın Bauer Çelik Demir Doğan Dubois Fernández García Güneş Hansen Işık İnan Kaya Keller Kılıç "
    "Koç Lindström Martin Müller Nagy Novák Öztürk Petit Polat Sánchez Schröder Şahin Şimşek Tanaka Tekin "
    "Toprak Ünal Vogel Weber Yıldız Yılmaz Yücel Zünd",
)
FIRMS = _apart(
    None,
    "Akdeniz Anatolia Atlas Baltık Bosporus Çınar Delta Ege Fjord Galata Güney Harbor Helios Île Juniper "
    "Kuzey Lumen Marmara Meridian Nordwind Orion Pamuk Quartz Rhône Sakarya Şafak Taurus Umut Vega Zürich",
)
TRADES = _apart(
    None,
    "Bank Logistik Health Sigorta Energy Retail Lojistik Airlines Telekom Pharma Foods Mobilya Insurance "
    "Media Tekstil Robotics Motors Eğitim Capital Turizm",
)
THINGS = _apart(
    "|",
    "completions|embeddings|the streaming endpoint|fine-tuning jobs|the vector index|similarity search|"
    "agent runs|scheduled agents|tool calls|the console|API keys|usage figures|the invoice|ingestion from "
    "SharePoint|the PostgreSQL connector|batch jobs|transcription|the voice gateway|document extraction|"
    "the content filter|single sign-on|role mapping|webhook deliveries|the evaluation report|rate limits|"
    "çeviri servisi|arama dizini|the tokenizer|prompt caching|the sandbox|model routing|the Zürich region",
)
TROUBLES = _apart(
    "|",
    "time out|answer 503|answer 429 below the agreed quota|are slower than last week|return empty results|"
    "fail after the upgrade|lose the session|show wrong totals|stop in the middle|answer in the wrong "
    "language|yanıt vermiyor|çok yavaş|reject valid keys|miss new documents|repeat the same answer|leak "
    "memory|drop the last chunk|ignore the timeout|break on accented names such as Müller or Güneş|hang "
    "at 99 %|are billed twice|fail for İstanbul only|need a higher limit|behave differently per region",
)
SINCE = _apart(
    "|",
    "since this morning|since the release of yesterday|since about 09:30|for one of our teams|for every "
    "user in Ankara|under load|after a restart|in production only|in staging, too|bu sabahtan beri|once "
    "an hour|for large files|for texts with ş, ğ or ı|since we moved to the new region",
)
DETAILS = _apart(
    "|",
    "The error appears in about one of {n} requests.|We see it from {n} different clients.|Our dashboard "
    "shows {n} failed calls within an hour.|A retry after {n} seconds helps sometimes.|The request id is "
    "req-{x}.|The same code worked before.|We changed nothing on our side.|Müşterilerimiz etkileniyor, "
    "lütfen öncelik verin.|The log says `upstream connect error, reset before headers`.|It began when the "
    "traffic doubled.|Nous l'avons reproduit deux fois.|A colleague in Zürich sees the same.|Screenshots "
    "are with us and can be sent.|The job {x} is an example.|It concerns the index `kb-{x}`.|Ekibimiz "
    "{n} dakikadır bekliyor.|No other service is concerned.|We need it before the end of the month.|The "
    "latency rose from {n} to {m} milliseconds.|Yesterday it was fine until the evening.",
)
ANSWERS = _apart(
    "|",
    "Thank you for the report; we can see it on our side as well.|We are looking at the logs of the last "
    "{n} minutes.|The requests you named reached one node that is out of rotation now.|Could you try again "
    "and send us the request id?|We have found {n} requests like yours and follow their trace.|A fix is in "
    "review.|Teşekkürler, inceliyoruz.|The limit of your plan was not applied after the renewal.|We raised "
    "the limit for tonight.|The index is being rebuilt; about {n} % are done.|Our colleague for the "
    "connector takes over.|The team of the region Frankfurt confirms it.|Until then, please use the second "
    "endpoint.|Nothing was lost; the queue is being worked off.",
)
REPLIES = _apart(
    "|",
    "It happens again with req-{x}.|Thank you, that helped.|We still see it for {n} users.|Here are the "
    "numbers you asked for: {n} of {m}.|Teşekkür ederiz, şimdi çalışıyor.|Which version has the fix?|We "
    "tried the second endpoint and it works.|Nothing changed for us.|The team in İzmir confirms it.|Please "
    "keep us posted.|Merci, c'est réglé.|Could this be related to the job {x}?",
)
CAUSES = _apart(
    "|",
    "A node had lost its lease and stayed in rotation.|The cache held keys of the former plan.|A migration "
    "locked the table of the index.|The new tokenizer split accented letters.|A certificate of the gateway "
    "had expired.|The quota service answered too late.|A retry storm after the restart.|The folding of ı "
    "and İ differed between two services.",
)
REMEDIES = _apart(
    "|",
    "The node was replaced and the check sends a real request now.|The cache was emptied and is bound to "
    "the plan.|The index was rebuilt in the background.|The former tokenizer was restored.|The certificate "
    "was renewed, with an alarm before it expires.|The timeout was raised and retries are spread.|Release "
    "{n}.{m} is out in every region.",
)
NOTES = _apart(
    "|",
    "Looks like the one of last month.|Asked the platform team.|Traces are in the shared folder, job {x}.|"
    "Call at {n} past the hour with their lead.|Vardiya değişiminde devret.|Check the quota before closing.",
)
RARE = _apart(None, "zeolite quokka xylophone ornithopter şemsiye kâğıthane çağlayan gökkuşağı smörgåsbord")
RARE_ONE_IN = 5_000


def _filled(random: Random, text: str) -> str:
    if "{" not in text:
        return text
    return text.format(
        n=random.randrange(2, 60), m=random.randrange(60, 900), x=f"{random.getrandbits(24):06x}"
    )


def title(random: Random) -> str:
    """One line such as a customer writes."""
    thing, trouble = random.choice(THINGS), random.choice(TROUBLES)
    text = f"{thing[0].upper()}{thing[1:]} {trouble}"
    return f"{text} {random.choice(SINCE)}" if random.random() < 0.6 else text


def text(random: Random, parts: list[str], least: int, most: int) -> str:
    """Some of the sentences, in any order; a rare word once in many thousand texts."""
    count = min(len(parts), least + int(random.random() * (most - least + 1)))
    found = [_filled(random, part) for part in random.sample(parts, count)]
    if random.random() * RARE_ONE_IN < 1:
        found.append(f"Internally we call it {random.choice(RARE)}.")
    return " ".join(found)


def description(random: Random) -> str:
    """One to three paragraphs."""
    first = f"{random.choice(THINGS)} {random.choice(TROUBLES)} {random.choice(SINCE)}."
    paragraphs = [text(random, DETAILS, 2, 5) for _ in range(1 + int(random.random() * 2.2))]
    return "\n\n".join([f"Hello,\n\n{first[0].upper()}{first[1:]}", *paragraphs])


def person(random: Random) -> tuple[str, str]:
    return random.choice(GIVEN), random.choice(FAMILY)
