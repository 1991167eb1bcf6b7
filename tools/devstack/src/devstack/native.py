"""`make native-mongo`: builds the Rust server once. It is what benchmarks, chaos tests and CI use."""

import shutil
import subprocess
from pathlib import Path

from devstack.components.mongo import NATIVE_CRATE, NATIVE_VERSION, find
from devstack.errors import StackError


def install(cache: Path) -> Path:
    """The program's path; built by Cargo when it is nowhere yet. Raises StackError."""
    found = find("secantusd-rs", cache)
    if found:
        return Path(found)
    cargo = shutil.which("cargo")
    if cargo is None:
        raise StackError("cargo is missing", mend="install Rust (Debian: apt-get install cargo, or rustup)")
    root = cache / "native"
    root.mkdir(parents=True, exist_ok=True)
    # The crate asks for a newer compiler than it needs.
    command = [cargo, "install", NATIVE_CRATE, "--version", NATIVE_VERSION, "--ignore-rust-version"]
    code = subprocess.run([*command, "--root", str(root)], check=False).returncode
    if code != 0:
        raise StackError(f"cargo could not build {NATIVE_CRATE} (exit {code})", mend="see its output above")
    return root / "bin" / "secantusd-rs"
