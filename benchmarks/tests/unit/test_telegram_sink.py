"""The benches' Bot API answers as Telegram does, and its counts can be trusted."""

import json
import socket
from collections.abc import Iterator

import pytest
from execution_service.adapters.telegram_bot_api import TelegramBotApi
from execution_service.application.ports_sending import Rendered
from execution_service.domain.outcomes import Delivered
from telegram_sink import TelegramSink, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")
TOKEN = "7000000001:secret"


@pytest.fixture(scope="module")
def built() -> Iterator[TelegramSink]:
    with TelegramSink() as running:
        yield running


@pytest.fixture
def sink(built: TelegramSink) -> TelegramSink:
    built.reset()
    return built


def post(chat: object, text: str, method: str = "sendMessage") -> bytes:
    body = json.dumps({"chat_id": chat, "text": text}, ensure_ascii=False).encode()
    head = f"POST /bot{TOKEN}/{method} HTTP/1.1\r\nHost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection:
    """One raw connection, for what an HTTP client would not do."""

    def __init__(self, sink: TelegramSink) -> None:
        self._socket = socket.create_connection(("127.0.0.1", sink.port), timeout=5)
        self._file = self._socket.makefile("rb")

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> tuple[int, dict[str, object]]:
        status, length = int(self._file.readline().split()[1]), 0
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, json.loads(self._file.read(length))


async def test_the_worker_s_own_client_takes_its_answers_for_deliveries(sink: TelegramSink) -> None:
    api = TelegramBotApi(sink.url, connect_seconds=3, answer_seconds=3, connections=8)
    sent = [await api.send(TOKEN, chat, Rendered("Hello", "none"), paid=False) for chat in (1, 2, 3)]
    await api.close()
    numbers = [one.message_id for one in sent if isinstance(one, Delivered)]
    assert len(numbers) == 3
    assert numbers == sorted(set(numbers))


def test_an_answer_echoes_the_chat_the_text_and_the_bot(sink: TelegramSink) -> None:
    connection, text = Connection(sink), 'Привет "Ann"\n, {"chat_id": 5, "text": "no"} \\ 🎉'
    connection.write(post(42, text))
    status, body = connection.read()
    result = body["result"]
    assert isinstance(result, dict)
    assert (status, body["ok"], result["text"], result["chat"]["id"]) == (200, True, text, 42)
    assert result["from"]["id"] == 7000000001


def test_get_me_tells_whose_token_it_is(sink: TelegramSink) -> None:
    connection = Connection(sink)
    connection.write(f"GET /bot{TOKEN}/getMe HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, body = connection.read()
    assert (status, body["result"]["id"]) == (200, 7000000001)  # type: ignore[index]


def test_requests_in_one_piece_and_in_many_are_answered_one_by_one_in_order(sink: TelegramSink) -> None:
    connection = Connection(sink)
    whole = b"".join(post(chat, "x" * chat) for chat in range(1, 201))
    for begin in range(0, len(whole), 997):
        connection.write(whole[begin : begin + 997])
    answered = [connection.read()[1]["result"] for _ in range(200)]
    assert [one["chat"]["id"] for one in answered] == list(range(1, 201))  # type: ignore[index]
    counts = sink.counts()
    assert (counts.messages, counts.unique, counts.doubled, counts.greatest) == (200, 200, 0, 200)
    assert 0 < counts.first <= counts.last


def test_a_second_message_to_a_chat_and_strange_chats_are_counted_apart(sink: TelegramSink) -> None:
    connection = Connection(sink)
    for chat in (7, 8, 7, -100123, 1 << 40, "9"):
        connection.write(post(chat, "Hello"))
        assert connection.read()[0] == 200
    counts = sink.counts()
    assert (counts.messages, counts.unique, counts.doubled, counts.strange) == (6, 3, 1, 2)
    sink.reset()
    assert sink.counts().messages == 0


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (post(0, "Hello"), 400),
        (post(1, "Hello", "sendCarrierPigeon"), 404),
        (b"POST /bot1:a/sendMessage HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"POST /bot1:a/sendMessage HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
    ],
)
def test_what_is_no_message_is_refused_and_not_counted(
    sink: TelegramSink, request_bytes: bytes, expected: int
) -> None:
    connection = Connection(sink)
    connection.write(request_bytes)
    assert connection.read()[0] == expected
    assert sink.counts().messages == 0
