"""Settings: checked as a whole, refused by name, the same from every source, and all documented."""

from pathlib import Path

import pytest
from telegram_simulator.config import Config, ConfigError, changed, field_names, from_environment, from_text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"blocked_share": 1.5}, "blocked_share"),
        ({"blocked_share": "0.1"}, "blocked_share"),
        ({"bot_per_second": -1}, "bot_per_second"),
        ({"bot_per_second": 1.5}, "bot_per_second"),
        ({"seed": None}, "seed"),
        ({"blocked_chats": ["x"]}, "blocked_chats"),
        ({"colour": 1}, "colour"),
        ({"blocked_share": 0.6, "not_found_share": 0.6}, "blocked_share"),
        ({"server_error_share": 0.6, "dropped_share": 0.6}, "server_error_share"),
        ({"burst_429_every_seconds": 1, "burst_429_length_seconds": 2}, "burst_429_length_seconds"),
        ({"burst_429_retry_after": 0}, "burst_429_retry_after"),
        ({"slow_seconds": float("nan")}, "slow_seconds"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(changes, field):
    with pytest.raises(ConfigError) as refused:
        changed(Config(), changes)
    assert refused.value.field == field
    assert field in str(refused.value)


def test_a_change_keeps_all_other_settings():
    before = Config(seed=9, blocked_chats=frozenset({1, 2}), unauthorized_tokens=frozenset({"1:abc"}))
    after = changed(before, {"blocked_share": 0.5})
    assert after == Config(
        seed=9,
        blocked_chats=frozenset({1, 2}),
        unauthorized_tokens=frozenset({"1:abc"}),
        blocked_share=0.5,
    )


def test_settings_are_read_from_text_and_environment():
    environment = {
        "TELEGRAM_SIMULATOR_SEED": "77",
        "TELEGRAM_SIMULATOR_BLOCKED_CHATS": "1, 2,-3",
        "TELEGRAM_SIMULATOR_CHAT_429_STOPS_BOT": "false",
        "TELEGRAM_SIMULATOR_BLOCKED_SHARE": "0.02",
        "TELEGRAM_SIMULATOR_PORT": "1",
        "SEED": "5",
    }
    config = from_text(from_environment(environment), Config())
    assert config == Config(
        seed=77, blocked_chats=frozenset({1, 2, -3}), chat_429_stops_bot=False, blocked_share=0.02
    )
    with pytest.raises(ConfigError, match="slow_seconds"):
        from_text({"slow_seconds": "nan"}, Config())


def test_the_readme_has_every_setting_with_its_default():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = {cells[1].strip(" `"): cells[2].strip(" `") for cells in map(_cells, readme.splitlines()) if cells}
    for name in field_names():
        value = getattr(Config(), name)
        shown = "empty" if isinstance(value, frozenset) else f"{value:g}" if value is not True else "true"
        assert rows.get(name) == shown, name


def _cells(line: str) -> list[str]:
    return line.split("|") if line.startswith("| `") else []
