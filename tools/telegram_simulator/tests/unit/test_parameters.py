"""Parameters are read from wherever Telegram reads them."""

import pytest
from telegram_simulator.parameters import ParameterError, Upload, read_parameters

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n7\r\n'
    b'--b\r\nContent-Disposition: form-data; name="caption"\r\n\r\nh\xc3\xa9\r\n'
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n12345\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("query", "kind", "sent"),
    [
        ("chat_id=7&text=h%C3%A9+%26", "", b""),
        ("", "application/x-www-form-urlencoded", b"chat_id=7&text=h%C3%A9+%26"),
        ("", "application/json; charset=utf-8", '{"chat_id":"7","text":"hé &"}'.encode()),
        ("chat_id=9&text=hé+%26", "Application/JSON", b'{"chat_id":"7"}'),
    ],
)
def test_query_form_and_json_say_the_same(query, kind, sent):
    assert read_parameters(query, kind, sent) == {"chat_id": "7", "text": "hé &"}


def test_multipart_gives_fields_and_the_size_of_files():
    read = read_parameters("", "multipart/form-data; boundary=b", MULTIPART)
    assert read == {"chat_id": "7", "caption": "hé", "photo": Upload(5)}


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("application/json", b"{"),
        ("application/json", b"[1]"),
        ("application/json", b'{"text":"\xff"}'),
        ("application/x-www-form-urlencoded", b"text=%FF"),
        ("application/x-www-form-urlencoded", b"text=\xff"),
        ("multipart/form-data", MULTIPART),
        ("multipart/form-data; boundary=other", MULTIPART),
        ("text/plain", b"x"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_a_bad_request(kind, sent):
    with pytest.raises(ParameterError, match="Bad Request: "):
        read_parameters("", kind, sent)
