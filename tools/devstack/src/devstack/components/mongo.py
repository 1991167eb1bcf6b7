"""MongoDB, or a server that speaks its protocol: the first of these that is at hand.

`mongod` (the real one), `secantusd-rs` (Rust), `secantusd-py` (a wheel, always installed). The last two
are for development only and always run with `--sync-on-commit`: without it an acknowledged write can be
lost when the process is killed.
"""

import shutil
import sys
from pathlib import Path

from devstack import probes
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import StackSettings

ENGINES = ("mongod", "secantusd-rs", "secantusd-py")
REPLICA_SET = "campaigns"
UNKNOWN_PARAMETER = 72
_CONFIG = "secantusd.toml"
NATIVE_CRATE = "secantus-mdb"
NATIVE_VERSION = "0.5.3-beta.196"


def url(settings: StackSettings) -> str:
    """The server to use: the given one, else ours. Direct, because the sets' names differ by engine."""
    return settings.mongo_url or f"mongodb://127.0.0.1:{settings.mongo_port}/?directConnection=true"


def program(settings: StackSettings) -> Program:
    """The database server. Raises StackError when STACK_MONGO names an engine that is not there."""
    engine = choose(settings)
    return Program(
        name="mongo",
        command=command(engine, find(engine, settings.campaigns_cache) or engine, settings),
        stage=Stage.INFRASTRUCTURE,
        ports={"MONGO_PORT": settings.mongo_port},
        probe=probes.mongo(url(settings)),
    )


def prepare(settings: StackSettings) -> None:
    """Make the data folder and note whose it is: one engine cannot read another's files."""
    folder = settings.data_dir / "mongo"
    folder.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / _CONFIG).write_text("# All settings are on the command line.\n", encoding="utf-8")
    _note(settings).write_text(choose(settings), encoding="utf-8")


def _note(settings: StackSettings) -> Path:
    return settings.data_dir / "mongo.engine"


def choose(settings: StackSettings) -> str:
    """The engine's name. Data that is already there decides, unless STACK_MONGO does."""
    wanted = settings.stack_mongo
    note = _note(settings)
    owner = note.read_text(encoding="utf-8").strip() if note.exists() else None
    if wanted == "auto":
        candidates = (owner,) if owner else ENGINES
    else:
        candidates = (wanted,)
        if owner not in (None, wanted):
            raise StackError(
                f"STACK_MONGO={wanted}, but {settings.data_dir / 'mongo'} was written by {owner}",
                mend="make reset wipes the data, or leave STACK_MONGO unset",
            )
    for engine in candidates:
        if engine and find(engine, settings.campaigns_cache):
            return engine
    raise StackError(
        f"the database server {' or '.join(filter(None, candidates))} is not installed",
        mend="make native-mongo installs secantusd-rs, make setup installs secantusd-py, "
        "and MONGO_URL uses a server that runs elsewhere",
    )


def find(engine: str, cache: Path) -> str | None:
    """The path of an engine's program."""
    if engine == "secantusd-py":
        script = Path(sys.executable).with_name(engine)
        return str(script) if script.exists() else shutil.which(engine)
    found = shutil.which(engine)
    if found or engine == "mongod":
        return found
    places = (Path.home() / ".cargo" / "bin", cache / "native" / "bin")
    return next((str(place / engine) for place in places if (place / engine).exists()), None)


def command(engine: str, binary: str, settings: StackSettings) -> tuple[str, ...]:
    """The command line, with a modest cache and every commit synced."""
    folder, port = str(settings.data_dir / "mongo"), str(settings.mongo_port)
    if engine == "mongod":
        return (
            binary, "--replSet", REPLICA_SET, "--bind_ip", "127.0.0.1", "--port", port,
            "--dbpath", folder, "--wiredTigerCacheSizeGB", f"{settings.stack_mongo_cache_mb / 1024:.2f}",
            "--setParameter", f"transactionLifetimeLimitSeconds={settings.stack_transaction_seconds}",
        )  # fmt: skip
    # An empty --config: its own search would pick up a file from the home folder or /etc.
    config = str(settings.run_dir / _CONFIG)
    return (
        binary, "--config", config, "--host", "127.0.0.1", "--port", port, "--storage-path", folder,
        "--cache-size", f"{settings.stack_mongo_cache_mb}M", "--sync-on-commit", "--log-level", "WARNING",
    )  # fmt: skip


def initiate(settings: StackSettings) -> None:
    """Make a fresh mongod a replica set of one. Harmless when it is one, or does not answer yet."""
    import pymongo  # noqa: PLC0415 - most commands do not need the driver
    from pymongo.errors import OperationFailure, PyMongoError  # noqa: PLC0415

    member = {"_id": 0, "host": f"127.0.0.1:{settings.mongo_port}"}
    try:
        with pymongo.MongoClient[dict[str, object]](url(settings), serverSelectionTimeoutMS=500) as client:
            hello = client.admin.command("hello")
            if hello.get("isreplicaset") and not hello.get("setName"):
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
    except OperationFailure as error:
        if error.code != 23:  # AlreadyInitialized: another call was first
            raise StackError(f"mongod refused the replica set: {error}", mend="look at the log",
                             log=settings.log_of("mongo")) from error  # fmt: skip
    except PyMongoError:
        return


def limit_transactions(settings: StackSettings) -> bool:
    """Let the server end abandoned transactions soon; False when it cannot be told (the wheel: 60 s).

    A server that is restarted by itself forgets it. Raises StackError when the server does not answer.
    """
    import pymongo  # noqa: PLC0415 - most commands do not need the driver
    from pymongo.errors import OperationFailure, PyMongoError  # noqa: PLC0415

    try:
        with pymongo.MongoClient[dict[str, object]](url(settings), serverSelectionTimeoutMS=5000) as client:
            limit = settings.stack_transaction_seconds
            client.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": limit})
    except OperationFailure as error:
        if error.code == UNKNOWN_PARAMETER:
            return False
        raise _refused(settings, error) from error
    except PyMongoError as error:
        raise _refused(settings, error) from error
    return True


def _refused(settings: StackSettings, error: Exception) -> StackError:
    return StackError(
        f"the database refused a setting: {error}", mend="look at the log", log=settings.log_of("mongo")
    )
