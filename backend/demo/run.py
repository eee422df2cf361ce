"""`python -m backend demo`: seed once, start every process, keep them going."""

import json
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from uuid import UUID

import httpx
from sqlmodel import Session, col, select

from backend import database, migrations
from backend.audit.record import SYSTEM
from backend.clock import DomainClock, real_now, start_demo
from backend.dashboards.demo_accounts import PASSWORD, SIGN_INS
from backend.database.cluster import make_data_dir
from backend.database.lock import STOPPING, owner
from backend.demo.alone import alone
from backend.demo.cast import began
from backend.demo.claim import refuse_real_clinics
from backend.demo.past import deliver_past
from backend.demo.patience import LOOK, ToldToEnd, until_it_works, until_ready
from backend.demo.processes import Child, Company, DatabaseChild
from backend.demo.seed import (
    FUTURE,
    characters,
    id_of,
    lives,
    seed,
)
from backend.errors import Conflict
from backend.people.bridges import new_code
from backend.people.passwords import hashed
from backend.people.tables import Clinic
from backend.settings import settings

PORTS_TRIED = 20
FIRST = "first.json"  # when this demo began, and whether its past is delivered


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo keeps its things, its processes' addresses, and its end."""

    folder: Path
    port: int
    radio: int
    stopping: threading.Event

    @property
    def address(self) -> str:
        return f"http://{settings().host}:{self.port}"

    @property
    def transport(self) -> str:
        return f"127.0.0.1:{self.radio}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def demo(*, speed: float) -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit code."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    folder = settings().data_dir / "demo"
    make_data_dir(settings().data_dir)
    make_data_dir(folder)
    with alone(folder) as tell:
        stage = Stage(folder, _free(settings().port), _free(0), stopping)
        tell(stage.address)
        company = Company()
        try:
            with suppress(ToldToEnd):
                _play(stage, company, speed)
            _say(
                "\nStopping. What was accepted is committed; "
                "`make demo` goes on from here."
            )
        finally:
            stopping.set()
            database.forget()
            company.stop()
    return 0


def _play(stage: Stage, company: Company, speed: float) -> None:
    """Start everything and keep it going until the demo is told to end."""
    if settings().database_url is None:
        _own_database(stage, company)
    _claim()
    clock = _prepare(stage, speed)
    _open(stage, company)
    threading.Thread(target=_past, args=(stage,), daemon=True).start()
    _tell(stage, clock)
    while not stage.stopping.wait(1.0):
        for child in company.tend():
            _say(f"{child.name} ended and was started again: {child.last_words()}")


def _claim() -> None:
    """Look whose database this is before it is touched."""
    with database.owner_engine().connect() as connection:
        refuse_real_clinics(connection)


def _prepare(stage: Stage, speed: float) -> DomainClock:
    """Schema, clock and people; return the clock as it runs now."""
    migrations.migrate(
        database.owner_engine(),
        app_role=database.addresses().app.username,
        today=real_now().date(),
    )
    first = _first(stage)
    people = characters(first)
    with database.transaction() as session:
        refuse_real_clinics(session.connection())  # again: time has passed
        empty = session.exec(select(col(Clinic.clinic_id))).first() is None
        clock = start_demo(session, speed=speed, real=real_now())
    if empty:
        _say("people: writing forty patients and what was prescribed to them")
        password = hashed(PASSWORD)
        with database.transaction() as session:
            seed(session, people, password=password, now=first)
    _say("devices: planning what their owners will do")
    plan = lives(people, clock, start=began(first), last=first + FUTURE)
    _write(stage.folder / "plan.json", plan)
    return clock


def _own_database(stage: Stage, company: Company) -> None:
    """Start the database, unless somebody runs it for longer than this demo."""
    data_dir = settings().data_dir
    while (found := owner(data_dir)) and found.state == STOPPING:
        if stage.stopping.wait(LOOK):  # that of a demo which has just ended
            raise ToldToEnd
    child = DatabaseChild(
        "database", _environment(stage), stage.log("database"), data_dir
    )
    if found is None:
        _say("database: starting")
        company.add(child)
    else:
        _say("database: running already, and left running afterwards")
    until_ready(child, child.ready, stage.stopping, _say)


def _open(stage: Stage, company: Company) -> None:
    """Start web, worker, devices and bridge, in the order of their needs."""
    web = company.add(_child(stage, "web", "backend", "serve"))
    until_ready(
        web,
        lambda: httpx.get(f"{stage.address}/readyz", trust_env=False).is_success,
        stage.stopping,
        _say,
    )
    company.add(_child(stage, "worker", "backend", "work"))
    devices = company.add(
        _child(
            stage,
            "devices",
            "device_bridge",
            "simulate",
            str(stage.folder / "plan.json"),
            "--transport",
            f"tcp-server:{stage.transport}",
            "--state",
            str(stage.folder / "devices"),
        )
    )
    until_ready(devices, lambda: _answers(stage.radio), stage.stopping, _say)
    if not (stage.folder / "bridge-token.json").exists():
        with database.transaction() as session:
            code = _code(session, "gateway")
        pairing = _child(stage, "pair", "device_bridge", "pair", code)
        pairing.start()
        pairing.wait()
    company.add(_child(stage, "bridge", "device_bridge", "run"))


def _past(stage: Stage) -> None:
    """Deliver the wearables' past once; a restart goes on where nothing was known."""
    kept = json.loads((stage.folder / FIRST).read_text())
    if kept["past_delivered"]:
        return
    first = datetime.fromisoformat(kept["first"])
    people = [(one, id_of(f"patient {one.number}")) for one in characters(first)]
    try:
        with httpx.Client(base_url=stage.address, timeout=60, trust_env=False) as http:
            token = until_it_works(lambda: _paired(http), stage.stopping)
            http.headers["Authorization"] = f"Bearer {token}"
            samples = sum(
                deliver_past(
                    http,
                    people,
                    first=began(first),
                    last=first,
                    stopping=stage.stopping,
                )
            )
    except ToldToEnd:
        return
    except httpx.HTTPStatusError as refused:
        _say(f"wearables: their past was refused: {refused}")
        return
    _write(stage.folder / FIRST, {**kept, "past_delivered": True})
    _say(f"wearables: {samples:,} samples of the past are delivered")


def _paired(http: httpx.Client) -> str:
    """Pair the wearables' cloud and return its token; a code is good for one try."""
    with database.transaction() as session:
        code = _code(session, "cloud")
    answer = http.post("/v1/bridges/pair", json={"code": code, "name": "cloud"})
    return str(answer.raise_for_status().json()["token"])


def _code(session: Session, kind: str) -> str:
    clinic: UUID = id_of("clinic")
    return new_code(session, clinic, kind=kind, actor=SYSTEM, real=real_now())


def _first(stage: Stage) -> datetime:
    """The moment at which this demo first began: its stories are placed about it."""
    path = stage.folder / FIRST
    if not path.exists():
        now = real_now().replace(microsecond=0)
        _write(path, {"first": now.isoformat(), "past_delivered": False})
    return datetime.fromisoformat(json.loads(path.read_text())["first"])


def _child(stage: Stage, name: str, module: str, *arguments: str) -> Child:
    return Child(name, module, arguments, _environment(stage), stage.log(name))


def _environment(stage: Stage) -> dict[str, str]:
    return {
        "DOSELOOP_DEMO": "true",
        "DOSELOOP_PORT": str(stage.port),
        "DOSELOOP_DATA_DIR": str(settings().data_dir),
        "DOSELOOP_BRIDGE_BACKEND": stage.address,
        "DOSELOOP_BRIDGE_TOKEN_FILE": str(stage.folder / "bridge-token.json"),
        "DOSELOOP_BRIDGE_SPOOL": str(stage.folder / "spool"),
        "DOSELOOP_BRIDGE_HCI": f"tcp-client:{stage.transport}",
    }


def _tell(stage: Stage, clock: DomainClock) -> None:
    rate = "real time" if clock.speed == 1 else f"{clock.speed:g} times real time"
    _say(f"\nDoseloop runs at {rate}:  {stage.address}\n")
    for role, login, name in SIGN_INS:
        _say(f"  {role:<13} {login:<24} {PASSWORD}   ({name})")
    _say(
        f"\nLogs are in {stage.folder}. The past of forty devices is arriving now over"
    )
    _say("Bluetooth; Ctrl-C stops everything.")


def _answers(port: int) -> bool:
    """Whether a process on this machine has that port; asks without connecting."""
    with socket.socket() as asking:
        try:
            asking.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free(wanted: int) -> int:
    for port in range(wanted, wanted + PORTS_TRIED) if wanted else (0,):
        with socket.socket() as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                asking.bind((settings().host, port))
            except OSError:
                continue
            return int(asking.getsockname()[1])
    raise Conflict(f"Ports {wanted} to {wanted + PORTS_TRIED - 1} are all in use.")


def _write(path: Path, value: object) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(value))
    beside.replace(path)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
