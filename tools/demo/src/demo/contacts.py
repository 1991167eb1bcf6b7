"""Ten thousand invented people, the same ones every time: `python -m demo.contacts examples/contacts.csv`.

Names come from many scripts, some right to left, some with emoji, some that would break careless HTML;
twelve time zones; fields are missing as they are in life. A seed makes it reproducible.
"""

import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path

COUNT = 10_000
SEED = 20240601
FIRST_CHAT_ID = 1_000_000_000
COLUMNS = (
    "id", "telegramChatId", "firstName", "lastName", "username", "language", "timezone", "location", "age",
    "interests", "purchaseHistory", "lastPurchase", "attributes.tier", "segments", "tester", "optedOut",
)  # fmt: skip

_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("Olivia", "Liam", "Zoë 🌞", "Tom & Jerry", "D'Arcy", "<Max>"),
        ("Smith", "O'Neill", "Brown-Ødegård"),
    ),
    "de": (("Jürgen", "Käthe", "Björn", "Zoé"), ("Müller", "Weiß", "Größing")),
    "es": (("José", "Núria", "Íñigo", "María José"), ("García", "Peña", "Ibáñez")),
    "pt": (("João", "Conceição", "Luís 🏄‍♂️"), ("Gonçalves", "Simões")),
    "uk": (("Олена", "Мар'яна", "Тарас"), ("Шевченко", "Ґалаґан")),
    "ar": (("محمد", "فاطمة", "نور ✨"), ("الأحمد", "بن علي")),
    "he": (("שרה", "יוסף", "נועה"), ("כהן", "לוי")),
    "hi": (("आरव", "दिया", "श्रेया"), ("शर्मा", "गुप्ता")),
    "zh": (("小明", "丽华", "子涵"), ("王", "李", "张")),
    "ja": (("さくら", "健太", "葵 🌸"), ("佐藤", "鈴木")),
    "th": (("สมชาย", "มาลี"), ("ใจดี", "ศรีสุข")),
    "vi": (("Nguyễn Ánh", "Hồng"), ("Trần", "Đặng")),
}
_PLACES: tuple[tuple[str, str, str], ...] = (
    ("en", "US", "America/New_York"), ("en", "US", "America/Los_Angeles"), ("en", "GB", "Europe/London"),
    ("de", "DE", "Europe/Berlin"), ("es", "ES", "Europe/Madrid"), ("es", "MX", "America/Mexico_City"),
    ("pt", "BR", "America/Sao_Paulo"), ("uk", "UA", "Europe/Kyiv"), ("ar", "EG", "Africa/Cairo"),
    ("he", "IL", "Asia/Jerusalem"), ("hi", "IN", "Asia/Kolkata"), ("zh", "SG", "Asia/Singapore"),
    ("ja", "JP", "Asia/Tokyo"), ("th", "TH", "Asia/Bangkok"), ("vi", "VN", "Asia/Ho_Chi_Minh"),
    ("en", "CA", "America/New_York"),
)  # fmt: skip
_INTERESTS = ("shopping", "fashion", "travel", "music", "sport", "books", "games", "food")


def people(count: int = COUNT, seed: int = SEED) -> Iterator[dict[str, str]]:
    """`count` rows by column; a missing value is an empty text."""
    chance = random.Random(seed)  # noqa: S311 - invented people, not secrets
    for number in range(count):
        language, location, timezone = chance.choice(_PLACES)
        first, last = (chance.choice(names) for names in _NAMES[language])
        bought = chance.random() < 0.45
        values = {
            "id": f"con_demo_{number:05d}",
            "telegramChatId": str(FIRST_CHAT_ID + number * 37),
            "firstName": _sometimes(chance, 0.92, first),
            "lastName": _sometimes(chance, 0.8, last),
            "username": _sometimes(chance, 0.6, f"user_{number:05d}"),
            "language": _sometimes(chance, 0.95, language),
            "timezone": _sometimes(chance, 0.97, timezone),
            "location": _sometimes(chance, 0.9, location),
            "age": _sometimes(chance, 0.7, str(chance.randint(18, 79))),
            "interests": ";".join(chance.sample(_INTERESTS, chance.randint(0, 3))),
            "purchaseHistory": "true" if bought else "false",
            "lastPurchase": f"2026-{chance.randint(1, 10):02d}-{chance.randint(1, 28):02d}" if bought else "",
            "attributes.tier": _sometimes(chance, 0.3, chance.choice(("gold", "silver"))),
            "segments": _segments(chance),
            "tester": "true" if number % 1000 == 0 else "",
            "optedOut": _sometimes(chance, 0.01, "true"),
        }
        yield values


def _sometimes(chance: random.Random, probability: float, value: str) -> str:
    return value if chance.random() < probability else ""


def _segments(chance: random.Random) -> str:
    """Most are in one of the two segments, some in both (they get one message), a few in none."""
    return chance.choices(
        ("seg_customers", "seg_newsletter", "seg_customers;seg_newsletter", ""), (45, 40, 12, 3)
    )[0]


def write(path: Path) -> None:
    """Write the CSV (UTF-8, header, `;` inside list cells), whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(people())
    unfinished.replace(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
