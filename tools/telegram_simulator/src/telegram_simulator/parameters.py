"""Reads a Bot API call's parameters, as Telegram does: query string, form (both kinds) or JSON."""

import io
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File


class Upload(NamedTuple):
    """An uploaded file, of which only the size in bytes matters here."""

    size: int


class ParameterError(ValueError):
    """The body cannot be read; the message is Telegram's description."""


_json = msgspec.json.Decoder(dict[str, object])


def read_parameters(query: str, content_type: str, body: bytes) -> Mapping[str, object]:
    """Parameter names to values (texts, JSON values, Upload); the body's win over the query's.

    Raises ParameterError when the body is not what `content_type` says.
    """
    parameters: dict[str, object] = _form(query) if query else {}
    if not body:
        return parameters
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        parameters.update(_from_json(body))
    elif kind == "application/x-www-form-urlencoded":
        try:
            parameters.update(_form(body.decode()))
        except UnicodeDecodeError:
            raise ParameterError("Bad Request: strings must be encoded in UTF-8") from None
    elif kind == "multipart/form-data":
        parameters.update(_multipart(content_type, body))
    else:
        raise ParameterError("Bad Request: unsupported content type")
    return parameters


def _form(text: str) -> dict[str, object]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise ParameterError("Bad Request: strings must be encoded in UTF-8") from None


def _from_json(body: bytes) -> dict[str, object]:
    try:
        return _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ParameterError("Bad Request: can't parse JSON object") from None


def _multipart(content_type: str, body: bytes) -> dict[str, object]:
    parameters: dict[str, object] = {}

    def on_field(field: Field) -> None:
        if field.field_name is not None:
            parameters[field.field_name.decode()] = (field.value or b"").decode()

    def on_file(file: File) -> None:
        if file.field_name is not None:
            parameters[file.field_name.decode()] = Upload(file.size)

    headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}
    try:
        parse_form(headers, io.BytesIO(body), on_field, on_file)
    except (FormParserError, ValueError):
        raise ParameterError("Bad Request: can't parse multipart/form-data body") from None
    return parameters
