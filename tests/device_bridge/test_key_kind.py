"""How BlueZ's bond with a peripheral was made."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bridge.errors import UnseenBond
from device_bridge.radio import bluez_client, key_kind
from device_bridge.radio.key_kind import KeyKind, kind_of

ADAPTER, BOX = "00:1B:DC:00:00:01", "F0:F1:F2:F3:F4:F5"
GENERAL = "[General]\nName=100 %\nTrusted=true\n"


def kept(folder: Path, text: str) -> Path:
    info = folder / ADAPTER / BOX / "info"
    info.parent.mkdir(parents=True)
    info.write_text(text)
    return folder


def a_key(section: str, kind: int, size: int = 16) -> str:
    # As BlueZ 5.66 wrote it, of a legacy peripheral too: EDiv and Rand say nothing.
    key = f"Key={'0' * 32}\nAuthenticated={kind}\nEncSize={size}\nEDiv=0\nRand=0\n"
    return f"[{section}]\n{key}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GENERAL, KeyKind.NONE),
        (GENERAL + a_key("PeripheralLongTermKey", 2), KeyKind.SECURE),
        (GENERAL + a_key("LongTermKey", 3), KeyKind.SECURE),
        (GENERAL + a_key("LongTermKey", 0), KeyKind.LEGACY),
        (GENERAL + a_key("LongTermKey", 1), KeyKind.LEGACY),
        (GENERAL + a_key("LongTermKey", 4), KeyKind.LEGACY),
        (GENERAL + a_key("LongTermKey", 2, 7), KeyKind.LEGACY),
        (GENERAL + "[LongTermKey]\nKey=00\n", KeyKind.LEGACY),
    ],
    ids=[
        *("no key", "just works", "passkey", "legacy", "legacy with passkey"),
        *("a key that all know", "a short key", "a key of unknown making"),
    ],
)
def test_only_secure_connections_make_a_secure_bond(
    tmp_path: Path, text: str, kind: KeyKind
) -> None:
    assert kind_of(ADAPTER, BOX, kept(tmp_path, text)) is kind


@given(
    st.dictionaries(st.sampled_from(key_kind.KEYS), st.integers(0, 5), min_size=1),
)
def test_one_weak_key_makes_a_weak_bond(
    tmp_path_factory: pytest.TempPathFactory, kinds: dict[str, int]
) -> None:
    text = "".join(a_key(section, kind) for section, kind in kinds.items())
    folder = kept(tmp_path_factory.mktemp("kept"), text)
    secure = set(kinds.values()) <= {2, 3}
    assert (kind_of(ADAPTER, BOX, folder) is KeyKind.SECURE) is secure


def test_a_peripheral_that_was_never_paired_has_no_bond(tmp_path: Path) -> None:
    assert kind_of(ADAPTER, BOX, tmp_path) is KeyKind.NONE


@pytest.mark.parametrize("address", ["../../etc", "f0:f1:f2:f3:f4:f5", "", BOX + "\n"])
def test_asks_for_nothing_but_addresses(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="addresses"):
        kind_of(ADAPTER, address, tmp_path)


@asynccontextmanager
async def the_service(folder: Path, where: Path) -> AsyncGenerator[None]:
    """Answer as the socket unit does: a process for each connection, on its octets."""
    program = (
        "import sys; from pathlib import Path;"
        "from device_bridge.radio import key_kind;"
        f"key_kind.kind_of.__defaults__ = (Path({str(folder)!r}),);"
        "sys.exit(key_kind.main())"
    )

    async def answer(asked: asyncio.StreamReader, said: asyncio.StreamWriter) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=pipe, stdout=pipe
        )
        out, _ = await process.communicate(await asked.readline())
        said.write(out)
        said.close()

    server = await asyncio.start_unix_server(answer, where)
    async with server:
        yield


def refuse(_adapter: str, _peripheral: str) -> KeyKind:
    raise PermissionError


def test_the_bridge_asks_a_service_that_may_read_what_it_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept(tmp_path / "kept", a_key("LongTermKey", 0))
    where = tmp_path / "socket"
    monkeypatch.setattr(bluez_client, "SOCKET", where)
    monkeypatch.setattr(bluez_client, "kind_of", refuse)

    async def asked() -> None:
        async with the_service(folder, where):
            assert await bluez_client.kept_kind(ADAPTER, BOX) is KeyKind.LEGACY
            assert await bluez_client.kept_kind(BOX, BOX) is KeyKind.NONE
            with pytest.raises(UnseenBond):
                await bluez_client.kept_kind(ADAPTER, "somebody")

    asyncio.run(asked())


def test_without_the_service_no_bond_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez_client, "SOCKET", tmp_path / "nobody")
    monkeypatch.setattr(bluez_client, "kind_of", refuse)
    with pytest.raises(UnseenBond, match="does not answer"):
        asyncio.run(bluez_client.kept_kind(ADAPTER, BOX))
