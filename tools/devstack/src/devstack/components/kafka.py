"""A Kafka broker without Docker: jars through Maven, KRaft, one node that is broker and controller."""

import fcntl
import re
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from devstack import probes
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import REPOSITORY, StackSettings

VERSION = "4.3.0"
POM = REPOSITORY / "deploy" / "kafka" / "pom.xml"
LOG4J = REPOSITORY / "deploy" / "kafka" / "log4j2.properties"
JAVA_AT_LEAST = 17
# C1 only and class data sharing: half the start-up time; the broker's work here is small.
JAVA_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData")
INSTALL_JAVA = f"install Java {JAVA_AT_LEAST} or newer (Debian: apt-get install openjdk-17-jre-headless), \
or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs elsewhere"
INSTALL_MAVEN = "install Maven (Debian: apt-get install maven), needed once to fetch Kafka's jars, \
or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs elsewhere"


def program(settings: StackSettings) -> Program:
    """The broker. `prepare` must have run."""
    config = settings.run_dir / "kafka.properties"
    java = shutil.which("java") or "java"
    command = (java, *JAVA_FLAGS, f"-Dlog4j2.configurationFile={LOG4J}", "-cp", _classpath(settings))
    return Program(
        name="kafka",
        command=(*command, "kafka.Kafka", str(config)),
        stage=Stage.INFRASTRUCTURE,
        ports={
            "KAFKA_PORT": settings.kafka_port,
            "KAFKA_CONTROLLER_PORT": settings.kafka_controller_port,
            **({"KAFKA_PROXIED_PORT": settings.kafka_proxied_port} if settings.stack_proxied else {}),
        },
        probe=probes.kafka(bootstrap_servers(settings)),
    )


def bootstrap_servers(settings: StackSettings) -> str:
    """The brokers to use: the given ones, else ours."""
    return settings.kafka_bootstrap_servers or f"127.0.0.1:{settings.kafka_port}"


def services_use(settings: StackSettings) -> str:
    """The services' way to them: through the proxy, where there is one."""
    return f"127.0.0.1:{settings.kafka_proxy_port}" if settings.stack_proxied else bootstrap_servers(settings)


def prepare(settings: StackSettings) -> None:
    """Check Java, fetch the jars once, write the configuration, format the data folder once.

    Raises StackError naming what is missing.
    """
    check_java()
    install_jars(settings.campaigns_cache)
    config = settings.run_dir / "kafka.properties"
    config.write_text(render_config(settings), encoding="utf-8")
    _format(settings, config)


def check_java() -> None:
    """Raises StackError without a Java that is new enough."""
    java = shutil.which("java")
    if java is None:
        raise StackError("Java is missing and Kafka needs it", mend=INSTALL_JAVA)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    text = answer.stderr + answer.stdout
    major = java_major(text)
    if answer.returncode != 0 or major is None:
        raise StackError(f"{java} does not work: {text.strip()[:120]}", mend=INSTALL_JAVA)
    if major < JAVA_AT_LEAST:
        raise StackError(f"Java {major} at {java} is too old, Kafka needs {JAVA_AT_LEAST}", mend=INSTALL_JAVA)


def java_major(version_text: str) -> int | None:
    """17 from `openjdk version "17.0.15"`, 8 from `java version "1.8.0_402"`."""
    match = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(match[1]) if match else None


def install_jars(cache: Path) -> None:
    """Fetch the jars unless they are there. A killed download leaves no half folder under the final name."""
    home = cache / f"kafka-{VERSION}"
    if home.exists():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Maven is missing and Kafka's jars are not in the cache yet", mend=INSTALL_MAVEN)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _download(maven, home, cache / "kafka-download.log")


def _download(maven: str, home: Path, log: Path) -> None:
    draft = home.with_name(f"{home.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
    with log.open("w") as output:
        code = subprocess.run(
            [maven, "-B", "-q", "-f", str(POM), *goal], stdout=output, stderr=output, check=False
        ).returncode
    if code != 0 or not (draft / f"kafka_2.13-{VERSION}.jar").exists():
        raise StackError(
            f"Maven could not fetch Kafka {VERSION} (exit {code})",
            log=log,
            mend="check the network and Maven's settings, then run it again",
        )
    draft.rename(home)


def _classpath(settings: StackSettings) -> str:
    return str(settings.campaigns_cache / f"kafka-{VERSION}" / "*")


def _format(settings: StackSettings, config: Path) -> None:
    data = settings.data_dir / "kafka"
    if (data / "meta.properties").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    log = settings.log_of("kafka-format")
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # A cluster id that starts with a dash would be read as an option.
    arguments = ["format", f"--cluster-id={cluster}", "--config", str(config)]
    java = shutil.which("java") or "java"
    with log.open("w") as output:
        code = subprocess.run(
            [java, *JAVA_FLAGS, "-cp", _classpath(settings), "kafka.tools.StorageTool", *arguments],
            stdout=output, stderr=output, check=False,
        ).returncode  # fmt: skip
    if code != 0:
        raise StackError(
            f"Kafka's data folder could not be formatted (exit {code})",
            log=log,
            mend="look at the log; make reset starts with an empty folder",
        )


def render_config(settings: StackSettings) -> str:
    """The broker's properties: loopback only, one replica of everything, small internal topics."""
    broker, controller = settings.kafka_port, settings.kafka_controller_port
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(settings.data_dir / "kafka"),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Index files are preallocated per partition and rewritten at every stop.
        "log.index.size.max.bytes": "1048576",
        # A killed broker is let in again only when its old session has expired; 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    if settings.stack_proxied:
        lines |= _proxied(settings, lines)
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _proxied(settings: StackSettings, lines: dict[str, str]) -> dict[str, str]:
    """A second listener: who comes by it is told the proxy's address, everybody else the broker's own."""
    return {
        "listeners": f"{lines['listeners']},PROXIED://127.0.0.1:{settings.kafka_proxied_port}",
        "advertised.listeners": f"{lines['advertised.listeners']},"
        f"PROXIED://127.0.0.1:{settings.kafka_proxy_port}",
        "listener.security.protocol.map": f"{lines['listener.security.protocol.map']},PROXIED:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
    }
