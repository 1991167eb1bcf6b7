"""The signature, against what others have published."""

from datetime import UTC, datetime

import pytest
from webhook_service.adapters.http_sender import signed_headers

PUBLISHED = [
    # The specification's own libraries all test this one:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/python/tests/test_webhooks.py
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    # https://docs.svix.com/receiving/verifying-payloads/how-manual
    (
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        '{"event_type":"ping","data":{"success":true}}',
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    ),
]


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "signature"), PUBLISHED)
def test_a_published_vector_has_its_published_signature(
    secret: str, message_id: str, timestamp: int, body: str, signature: str
):
    at = datetime.fromtimestamp(timestamp, tz=UTC)
    assert signed_headers(secrets=[secret], message_id=message_id, at=at, body=body.encode()) == {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def test_several_secrets_give_their_signatures_one_after_another_divided_by_a_blank():
    secrets, at = [PUBLISHED[0][0], PUBLISHED[1][0]], datetime.fromtimestamp(1614265330, tz=UTC)
    each = [
        signed_headers(secrets=[secret], message_id="m", at=at, body=b"{}")["webhook-signature"]
        for secret in secrets
    ]
    both = signed_headers(secrets=secrets, message_id="m", at=at, body=b"{}")["webhook-signature"]
    assert both == " ".join(each)


def test_a_part_of_a_second_does_not_make_the_signed_time_another_than_the_shown_one():
    at = datetime.fromtimestamp(1614265330, tz=UTC).replace(microsecond=999_999)
    headers = signed_headers(
        secrets=[PUBLISHED[0][0]], message_id=PUBLISHED[0][1], at=at, body=PUBLISHED[0][3].encode()
    )
    assert (headers["webhook-timestamp"], headers["webhook-signature"]) == ("1614265330", PUBLISHED[0][4])
