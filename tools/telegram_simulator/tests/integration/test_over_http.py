"""The simulator as a process of its own, over real HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import httpx
import pytest

TOKEN = "4242:abcdefghij_KLMNOP"
DEADLINE_SECONDS = 20


def start(port: int, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "telegram_simulator", "--port", str(port), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TELEGRAM_SIMULATOR_")}
    return subprocess.Popen(
        command, env=clean | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_healthy(port: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the simulator did not start"
            time.sleep(0.02)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def simulator(free_port: int) -> Iterator[httpx.Client]:
    process = start(
        free_port, "--seed", "3", "--set", "chat_per_second=0", TELEGRAM_SIMULATOR_BOT_PER_SECOND="0"
    )
    try:
        wait_until_healthy(free_port, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", timeout=DEADLINE_SECONDS) as client:
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0


def ledger(client: httpx.Client, query: str = "") -> list[dict[str, object]]:
    with client.stream("GET", f"/ledger{query}") as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in response.iter_lines()]


def test_every_way_of_sending_reaches_the_ledger(simulator):
    url = f"/bot{TOKEN}/sendMessage"
    message = {"chat_id": 1, "text": "hé"}
    before = time.time()
    answers = [
        simulator.get(url, params=message),
        simulator.post(url, data=message),
        simulator.post(url, json=message),
        simulator.post(url, data={"chat_id": 1, "text": "hé"}, files={"thumb": b"x"}),
        simulator.post(url.replace(":", "%3A").replace("sendMessage", "SENDMESSAGE"), json=message),
        simulator.post(
            f"/bot{TOKEN}/sendPhoto",
            data={"chat_id": 1, "caption": "hé"},
            files={"photo": b"\x89PNG" * 99_999},
        ),
    ]
    assert [answer.json()["result"]["message_id"] for answer in answers] == [1, 2, 3, 4, 5, 6]
    lines = ledger(simulator)
    assert {line["text_sha256"] for line in lines} == {sha256("hé".encode()).hexdigest()}
    assert [line["method"] for line in lines] == ["sendMessage"] * 5 + ["sendPhoto"]
    times = [line["at"] for line in lines]
    assert times == sorted(times)
    assert before - 0.1 <= times[0] <= times[-1] <= time.time() + 0.1


def test_errors_have_telegrams_status_body_and_retry_after(simulator):
    simulator.patch("/config", json={"bot_per_second": 1}).raise_for_status()
    first, second = (
        simulator.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": 1, "text": "x"}) for _ in "ab"
    )
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["parameters"] == {"retry_after": 1}
    assert second.headers["retry-after"] == "1"
    for path, status in (
        (f"/bot{TOKEN}/close", 404),
        ("/bot1:x/getMe", 401),
        ("/nothing", 404),
        ("/bot", 404),
    ):
        answer = simulator.get(path)
        assert answer.status_code == status
        assert answer.json()["error_code"] == status
        assert answer.headers["content-type"] == "application/json"


def test_a_dropped_answer_closes_the_connection_without_a_byte(simulator):
    simulator.patch("/config", json={"dropped_share": 1}).raise_for_status()
    request = f"GET /bot{TOKEN}/sendMessage?chat_id=8&text=x HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((simulator.base_url.host, simulator.base_url.port)) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.sendall(request.encode())
        assert connection.recv(1) == b""
    with pytest.raises(httpx.RemoteProtocolError):
        simulator.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": 9, "text": "x"})
    assert [(line["chat_id"], line["outcome"], line["status"]) for line in ledger(simulator)] == [
        (8, "dropped_after_delivery", None),
        (9, "dropped_after_delivery", None),
    ]


def test_slow_answers_do_not_hold_up_others(simulator):
    simulator.patch("/config", json={"slow_share": 1, "slow_seconds": 1}).raise_for_status()

    def send(chat: int) -> int:
        return simulator.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": chat, "text": "x"}).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(send, range(1, 41))) == {200}
    assert 1 <= time.monotonic() - started < 8


def test_config_is_shown_changed_and_refused_by_field(simulator):
    shown = simulator.get("/config").json()
    assert (shown["seed"], shown["bot_per_second"], shown["chat_per_second"]) == (3, 0, 0)
    changed = simulator.patch("/config", json={"blocked_chats": [5]}).json()
    assert changed == shown | {"blocked_chats": [5]}
    refused = simulator.patch("/config", json={"blocked_share": 2, "seed": 4})
    assert refused.status_code == 422
    assert refused.json()["field"] == "blocked_share"
    assert simulator.patch("/config", content=b"{").status_code == 422
    assert simulator.get("/config").json() == changed


def test_ledger_is_filtered_summed_up_and_cleared(simulator):
    simulator.patch("/config", json={"blocked_chats": [2]}).raise_for_status()
    for bot, chat in ((1, 1), (1, 2), (2, 1), (1, 1)):
        simulator.post(f"/bot{bot}:abcdefghijkl/sendMessage", json={"chat_id": chat, "text": "x"})
    assert [line["seq"] for line in ledger(simulator, "?bot_id=1&chat_id=1")] == [1, 4]
    assert [line["seq"] for line in ledger(simulator, "?since_seq=2")] == [3, 4]
    assert simulator.get("/ledger/summary", params={"bot_id": 1}).json() == {
        "total": 3,
        "by_outcome": {"delivered": 2, "blocked": 1},
        "by_status": {"200": 2, "403": 1},
        "chats_delivered": 1,
        "chats_delivered_more_than_once": 1,
    }
    for query in ("?bot_id=x", "?chat=1"):
        assert simulator.get(f"/ledger{query}").status_code == 422
    assert simulator.delete("/ledger").json() == {"cleared": 4}
    assert ledger(simulator) == []


def test_sigterm_lets_the_request_under_way_finish(free_port):
    process = start(free_port, "--set", "slow_share=1", "--set", "slow_seconds=1")
    try:
        wait_until_healthy(free_port, process)
        with ThreadPoolExecutor(1) as pool:
            url = f"http://127.0.0.1:{free_port}"
            answer = pool.submit(
                httpx.get, f"{url}/bot{TOKEN}/sendMessage?chat_id=1&text=x", timeout=DEADLINE_SECONDS
            )
            deadline = time.monotonic() + DEADLINE_SECONDS
            while httpx.get(f"{url}/healthz").json()["ledger_entries"] == 0:
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGTERM)
            assert answer.result().status_code == 200
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((), "cannot listen on"), (("--set", "blocked_share=3"), "blocked_share"), (("--set", "x=1"), "x: ")],
)
def test_what_keeps_it_from_starting_is_told_in_one_line(arguments, told):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(taken.getsockname()[1], *arguments)
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert told in errors


def test_a_second_simulator_on_the_same_port_refuses_to_share_it(free_port):
    first = start(free_port)
    try:
        wait_until_healthy(free_port, first)
        second = start(free_port)
        _, errors = second.communicate(timeout=DEADLINE_SECONDS)
        assert second.returncode == 1
        assert "Address already in use" in errors
    finally:
        first.terminate()
        first.communicate(timeout=DEADLINE_SECONDS)
