"""Schemathesis, all its checks, against the running API and the document that describes it.

It invents requests from the document, good and bad, and holds the answers to it: no 5xx, no status, header
or body that the document does not tell, nothing accepted that it forbids.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
DOCUMENT = Path(__file__).parents[4] / "docs" / "openapi.json"
OURS = ("campaigns", "templates")
CASES = 2000
CONFIG = """
# Some rules cannot be told in JSON Schema: an end before its start, weights that sum to over 100, a key used
# before (422), a version that is not the stored one (412). A valid request may break those.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]
# A bad patch for a version that is not stored any more is told the latter.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422"]
# The same key and body get the first answer again, also when what it made was deleted meanwhile.
[checks.ensure_resource_availability]
enabled = false
"""


def test_no_request_that_can_be_invented_gets_an_answer_that_is_not_documented(
    running_api: Any, token: Callable[..., str], tmp_path: Path
) -> None:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    served = running_api.routes()
    document["paths"] = {path: item for path, item in document["paths"].items() if path in served}
    ours = tmp_path / "openapi.json"
    ours.write_text(json.dumps(document))
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        str(Path(sys.executable).with_name("st")), "run", str(ours),
        "--origin", running_api.url.removesuffix("/api/v1"),
        "--header", f"Authorization: Bearer {token('admin')}",
        "--max-examples", "25", "--checks", "all", "--seed", "1", "--warnings", "off", "--no-color",
        "--continue-on-failure",
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    cases = re.search(r"(\d+) generated", run.stdout)
    assert cases is not None and int(cases[1]) >= CASES, cases
