"""Static files under addresses that change with their content."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static"
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def addresses() -> dict[str, Path]:
    """Return each served address, `/static/style.0a1b2c3d4e.css`, with its file."""
    files = sorted(path for path in FOLDER.iterdir() if path.is_file())
    return {_address(path): path for path in files}


@cache
def address(name: str) -> str:
    """Return the address of a static file; raises KeyError when there is none."""
    named = {path.name: served for served, path in addresses().items()}
    return named[name]


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI app for `app.mount("/static", serve)`: what `addresses` names, no more."""
    path = addresses().get(scope["path"])
    readable = path is not None and scope["method"] in ("GET", "HEAD")
    answer: Response = Response(status_code=404)
    if path is not None and readable:
        answer = FileResponse(path, headers={"Cache-Control": FOR_EVER})
    await answer(scope, receive, send)


def _address(path: Path) -> str:
    digest = sha256(path.read_bytes()).hexdigest()[:10]
    return f"{PREFIX}/{path.stem}.{digest}{path.suffix}"
