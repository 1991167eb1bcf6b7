"""The Bot API without HTTP: Telegram's answers, in Telegram's words."""

import json

import pytest
from telegram_simulator.faults import chat_fault, request_fault
from telegram_simulator.ledger import Filter
from telegram_simulator.outcomes import OUTCOME_NAMES

TOKEN = "4242:abcdefghij_KLMNOP"


def body(answer):
    return json.loads(answer.body)


def test_send_message_answers_telegrams_message(bench):
    answer = bench().send(77, "Привет 👋")
    assert answer.status == 200
    result = body(answer)["result"]
    assert result["message_id"] == 1
    assert result["from"] == {
        "id": 4242, "is_bot": True, "first_name": "Simulated bot 4242", "username": "simulated_4242_bot"
    }  # fmt: skip
    assert result["chat"] == {"id": 77, "type": "private", "first_name": "Chat 77"}
    assert result["date"] == 1_800_000_005
    assert result["text"] == "Привет 👋"


def test_send_photo_answers_sizes_and_caption(bench):
    result = body(bench().call("sendPhoto", chat_id="-100123", photo="https://x/y.png", caption="c"))[
        "result"
    ]
    assert result["caption"] == "c"
    assert result["photo"][0]["file_id"]
    assert result["chat"]["type"] == "supergroup"
    assert "text" not in result


def test_get_me_tells_the_bots_id_from_its_token(bench):
    result = body(bench().call("getMe"))["result"]
    assert (result["id"], result["is_bot"]) == (4242, True)
    assert result["username"].endswith("bot")


@pytest.mark.parametrize("method", ["sendSticker", "deleteWebhook", "", "sendMessage/"])
def test_a_method_it_lacks_is_not_found(bench, method):
    answer = bench().call(method, chat_id=1, text="x")
    assert body(answer) == {"ok": False, "error_code": 404, "description": "Not Found"}


@pytest.mark.parametrize(
    "token", ["", "abc", "42", "42:short", "x:abcdefghijkl", "0:abcdefghijk", "1:abcdefghi"]
)
@pytest.mark.parametrize("method", ["getMe", "sendMessage"])
def test_a_malformed_token_is_unauthorized(bench, token, method):
    answer = bench().call(method, token, chat_id=1, text="x")
    assert body(answer) == {"ok": False, "error_code": 401, "description": "Unauthorized"}


def test_a_listed_token_is_unauthorized_and_told_in_the_ledger(bench):
    it = bench(unauthorized_tokens=[TOKEN])
    assert it.send(1).status == 401
    assert [(entry.bot_id, entry.outcome, entry.status) for entry in it.entries()] == [
        (4242, "unauthorized", 401)
    ]


@pytest.mark.parametrize(
    ("method", "parameters", "description"),
    [
        ("sendMessage", {"text": "x"}, "Bad Request: chat_id is empty"),
        ("sendMessage", {"chat_id": "", "text": "x"}, "Bad Request: chat_id is empty"),
        ("sendMessage", {"chat_id": 1}, "Bad Request: message text is empty"),
        ("sendMessage", {"chat_id": 1, "text": " \n"}, "Bad Request: message text is empty"),
        ("sendMessage", {"chat_id": 1, "text": "x" * 4097}, "Bad Request: message is too long"),
        (
            "sendMessage",
            {"chat_id": 1, "text": "x", "parse_mode": "RTF"},
            "Bad Request: unsupported parse_mode",
        ),
        ("sendPhoto", {"chat_id": 1}, "Bad Request: there is no photo in the request"),
        (
            "sendPhoto",
            {"chat_id": 1, "photo": "p", "caption": "x" * 1025},
            "Bad Request: message caption is too long",
        ),
        (
            "sendPhoto",
            {"chat_id": 1, "photo": "https:///a.jpg"},
            "Bad Request: invalid file HTTP URL specified: URL host is empty",
        ),
    ],
)
def test_bad_parameters_get_telegrams_400_and_use_up_no_limit(bench, method, parameters, description):
    it = bench(bot_per_second=1)
    for _ in range(3):
        answer = it.call(method, **parameters)
        assert body(answer) == {"ok": False, "error_code": 400, "description": description}
    assert it.send(5).status == 200


@pytest.mark.parametrize(
    ("method", "kind"), [("sendVideo", "video"), ("sendDocument", "document"), ("sendAnimation", "animation")]
)
def test_other_media_are_sent_like_photos(bench, method, kind):
    it = bench()
    result = body(it.call(method, chat_id=5, caption="c", **{kind: "https://x.example/a"}))["result"]
    assert (result["caption"], bool(result[kind]["file_id"])) == ("c", True)
    refused = it.call(method, chat_id=6, photo="https://x.example/a")
    assert body(refused)["description"] == f"Bad Request: there is no {kind} in the request"
    assert [(entry.method, entry.media) for entry in it.entries()] == [
        (method, "https://x.example/a"), (method, None),
    ]  # fmt: skip


ROWS = [[{"text": "Shop", "url": "https://shop.example"}, {"text": "Help", "url": "tg://resolve?domain=x"}]]


@pytest.mark.parametrize("given", [{"inline_keyboard": ROWS}, json.dumps({"inline_keyboard": ROWS})])
def test_buttons_come_back_and_are_in_the_ledger(bench, given):
    it = bench()
    result = body(it.call(chat_id=5, text="x", reply_markup=given))["result"]
    assert result["reply_markup"] == {"inline_keyboard": ROWS}
    assert [json.loads(bytes(entry.buttons)) for entry in it.entries()] == [ROWS]
    plain = it.call(chat_id=6, text="x", reply_markup={"remove_keyboard": True})
    assert plain.status == 200 and it.entries()[1].buttons is None


@pytest.mark.parametrize(
    ("markup", "description"),
    [
        ("{", "can't parse reply keyboard markup JSON object"),
        ([], "object expected as reply markup"),
        ({"inline_keyboard": [{}]}, 'field "inline_keyboard" must be an Array of Arrays'),
        ({"inline_keyboard": [["x"]]}, "can't parse inline keyboard button: InlineKeyboardButton must be an Object"),
        ({"inline_keyboard": [[{"url": "https://a.example"}]]},
         'can\'t parse inline keyboard button: Can\'t find field "text"'),
        ({"inline_keyboard": [[{"text": "a"}]]},
         "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
        ({"inline_keyboard": [[{"text": "a", "url": "https://"}]]},
         "inline keyboard button URL 'https://' is invalid: URL host is empty"),
        ({"inline_keyboard": [[{"text": "a", "url": "ftp://a.example"}]]},
         "inline keyboard button URL 'ftp://a.example' is invalid: Unsupported URL protocol"),
        ({"inline_keyboard": [[{"text": "a", "url": "https://a.example"}]] * 101}, "REPLY_MARKUP_TOO_LONG"),
    ],
)  # fmt: skip
def test_a_keyboard_that_telegram_refuses_is_refused(bench, markup, description):
    it = bench()
    assert body(it.call(chat_id=1, text="x", reply_markup=markup)) == {
        "ok": False, "error_code": 400, "description": f"Bad Request: {description}"
    }  # fmt: skip
    assert [entry.outcome for entry in it.entries()] == ["bad_request"]


def test_formatting_does_not_count_for_the_length(bench):
    assert bench().call(chat_id=1, text=f"<b>{'&amp;' * 4096}</b>", parse_mode="HTML").status == 200
    assert bench().call(chat_id=1, text=f"<b>{'&amp;' * 4097}</b>", parse_mode="HTML").status == 400
    link = "[shop](https://shop.example/" + "x" * 100 + ")"
    for text, status in (("\\." * 4092 + link, 200), ("*" + "\\." * 4093 + "*" + link, 400)):
        assert bench().call(chat_id=1, text=text, parse_mode="MarkdownV2").status == status


def test_names_and_impossible_ids_are_chats_not_found(bench):
    it = bench()
    for chat in ("@shop", "abc", 10**18, str(10**30)):
        assert body(it.send(chat))["description"] == "Bad Request: chat not found"
    assert [entry.chat_id for entry in it.entries()] == ["@shop", "abc", str(10**18), str(10**30)]


@pytest.mark.parametrize(
    ("setting", "code", "description"),
    [
        ("blocked_chats", 403, "Forbidden: bot was blocked by the user"),
        ("deactivated_chats", 403, "Forbidden: user is deactivated"),
        ("not_found_chats", 400, "Bad Request: chat not found"),
        ("not_started_chats", 403, "Forbidden: bot can't initiate conversation with a user"),
    ],
)
def test_a_listed_chat_answers_its_fault_every_time(bench, setting, code, description):
    it = bench(**{setting: [6]})
    for _ in range(3):
        assert body(it.send(6)) == {"ok": False, "error_code": code, "description": description}
    assert it.send(7).status == 200
    assert {entry.outcome for entry in it.entries(Filter(chat_id=6))} == {setting.removesuffix("_chats")}


@pytest.mark.parametrize("given", [True, "true", "True", "1"])
def test_allow_paid_broadcast_is_counted_apart(bench, given):
    it = bench(bot_per_second=1, paid_per_second=2)
    assert [it.call(chat_id=chat, text="x", allow_paid_broadcast=given).status for chat in (1, 2)] == [
        200
    ] * 2
    assert it.send(3).status == 200
    assert it.call(chat_id=4, text="x", allow_paid_broadcast=given).status == 429


def test_over_the_limit_is_429_with_retry_after_and_stops_everything_of_that_bot(bench):
    it = bench(bot_per_second=2)
    assert [it.send(chat).status for chat in (1, 2, 3)] == [200, 200, 429]
    refused = it.send(4)
    assert body(refused) == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }
    assert refused.retry_after == 1
    assert it.call("getMe").status == 429
    assert it.call("sendMessage", "99:abcdefghijkl", chat_id=3, text="x").status == 200
    it.clock.advance(1)
    assert it.send(3).status == 200


def test_a_burst_answers_429_until_it_is_over_and_its_wait_has_passed(bench):
    it = bench(burst_429_every_seconds=10, burst_429_length_seconds=2, burst_429_retry_after=5)
    assert it.send(1).status == 200
    it.clock.advance(11)
    assert it.send(1).retry_after == 5
    it.clock.advance(4.5)
    assert it.send(1).retry_after == 1
    it.clock.advance(0.5)
    assert it.send(1).status == 200


def test_setting_a_burst_starts_its_clock_anew(bench):
    it = bench()
    it.clock.advance(10)
    it.api.configure({"burst_429_every_seconds": 10})
    assert it.send(1).status == 200
    it.clock.advance(10)
    assert it.send(1).status == 429


def test_a_5xx_is_telegrams_and_delivers_nothing(bench):
    it = bench(server_error_share=1)
    assert body(it.send(1)) == {"ok": False, "error_code": 500, "description": "Internal Server Error"}
    assert [(entry.outcome, entry.status, entry.message_id) for entry in it.entries()] == [
        ("server_error", 500, None)
    ]


def test_a_dropped_answer_is_delivered_in_the_ledger(bench):
    it = bench(dropped_share=1)
    assert it.send(1).dropped
    assert [(entry.outcome, entry.status, entry.message_id) for entry in it.entries()] == [
        ("dropped_after_delivery", None, 1)
    ]


def test_a_slow_answer_is_decided_at_once_and_told_late(bench):
    answer = bench(slow_share=1, slow_seconds=0.7).send(1)
    assert (answer.status, answer.delay) == (200, 0.7)


def test_the_ledger_is_what_the_pure_functions_predict_in_any_order(bench):
    settings = {"seed": 5, "blocked_share": 0.1, "not_found_share": 0.1, "server_error_share": 0.2}
    it = bench(**settings)
    chats = [*range(1, 301), *range(300, 0, -1)]
    for chat in chats:
        it.send(chat)
    seen: dict[int, int] = {}
    for entry in it.entries():
        attempt = seen[entry.chat_id] = seen.get(entry.chat_id, 0) + 1
        fault = chat_fault(it.api.config, entry.chat_id)
        expected = OUTCOME_NAMES[fault] if fault else "delivered"
        if request_fault(it.api.config, entry.chat_id, attempt).server_error:
            expected = "server_error"
        assert entry.outcome == expected
    assert len({entry.outcome for entry in it.entries()}) == 4


def test_refusals_by_429_use_up_no_attempt_so_faults_do_not_depend_on_timing(bench):
    def outcomes(limit: int) -> list[str]:
        it = bench(server_error_share=0.5, bot_per_second=limit)
        for chat in range(1, 40):
            while it.send(chat).status == 429:
                it.clock.advance(0.4)
        return [entry.outcome for entry in it.entries() if entry.outcome != "rate_limited"]

    assert outcomes(limit=3) == outcomes(limit=0)


def test_clearing_lets_the_same_traffic_meet_the_same_faults(bench):
    it = bench(server_error_share=0.5)

    def run() -> list[str]:
        for chat in range(50):
            it.send(chat + 1)
        return [entry.outcome for entry in it.entries()]

    first = run()
    assert it.api.clear() == 50
    assert run() == first
