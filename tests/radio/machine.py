"""A virtual machine with Bluetooth in its kernel, that runs this checkout as it is.

QEMU boots Debian's kernel with a small initrd; its root is this machine's, read only,
under a layer that is gone with it. Nothing is installed in it and nothing is left of it
but the folder `out`.
"""

import gzip
import lzma
import os
import platform
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "bluetoothctl": "bluez",
    "dbus-daemon": "dbus",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "depmod": "kmod",
}
# In the order in which the guest loads them: without drbg and its friends the kernel
# fails its own test of the elliptic curve, and there are no Secure Connections.
MODULES = (
    *("drbg", "jitterentropy_rng", "hmac", "sha512_generic"),
    *("virtio_pci", "9pnet_virtio", "9p", "overlay"),
    *("bluetooth", "hci_vhci", "ecdh_generic", "cmac", "ecb", "ccm"),
    *("algif_hash", "algif_skcipher", "uhid", "virtio_rng"),
)
ON_DEMAND = ("seqiv", "aes_generic", "sha256_generic", "ghash_generic", "cbc", "ctr")
APPLETS = ("sh", "mount", "mkdir", "modprobe", "chroot", "poweroff", "cat", "sync")
SOFTWARE = ("-accel", "tcg,thread=multi", "-cpu", "max")
HARDWARE = ("-accel", "kvm", "-cpu", "host")
PROBE_LIMIT, LIMIT = 20.0, 900.0  # seconds
# Debian 12 has the newer kernel beside its own, as Raspberry Pi OS has: in 6.1 a lost
# bond breaks a list of the kernel's.
PACKAGE, METAPACKAGES = "linux-image-", ("linux-image-6.12-amd64", "linux-image-amd64")
GOOD = (6, 12)
APT = ("apt-get", "-qq", "-y", "-o", "Dpkg::Use-Pty=0")


def say(line: str) -> None:
    """Tell what is being done, because it takes its time."""
    print(f"radio: {line}", flush=True)  # noqa: T201  nobody else would say it


class CannotRun(Exception):
    """This machine cannot run the virtual one; says why."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    version: str
    root: Path

    @property
    def image(self) -> Path:
        return self.root / f"boot/vmlinuz-{self.version}"

    @property
    def modules(self) -> Path:
        return self.root / "lib/modules" / self.version


def prepare(cache: Path) -> tuple[Kernel, Path]:
    """Return kernel and initrd, fetched and made where they are not there yet.

    Raises CannotRun where something is missing that cannot be installed.
    """
    if platform.machine() != "x86_64":
        raise CannotRun(f"needs an x86-64 machine, this is {platform.machine()}")
    packages = [name for what, name in PROGRAMS.items() if shutil.which(what) is None]
    if packages:
        _install(packages)
    cache.mkdir(parents=True, exist_ok=True)
    kernel = _kernel(cache)
    return kernel, _initrd(kernel, cache / f"initrd-{kernel.version}.gz")


def _install(packages: list[str]) -> None:
    line = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotRun(f"not installed, and we may not: {line}")
    say(line)
    _apt("update")
    _apt("install", "--no-install-recommends", *packages)


def _apt(*words: str, folder: Path | None = None) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        [*APT, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise CannotRun(f"apt-get {words[0]}: {done.stderr.strip()[-300:]}")


def _kernel(cache: Path) -> Kernel:
    kept = max(cache.glob(f"{PACKAGE}*"), key=_version, default=None)
    name = kept.name if kept and _version(kept) >= GOOD else _newest_package()
    name = name or (kept and kept.name)
    if name is None:
        raise CannotRun(
            "needs Debian's kernel package (apt-get update, if there is apt)"
        )
    if not (cache / name).exists():
        say(f"fetching {name} (100 MB)")
        with TemporaryDirectory(dir=cache) as folder:
            _apt("download", name, folder=Path(folder))
            (package,) = Path(folder).glob("*.deb")
            unpacked = Path(folder) / "root"
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
            unpacked.rename(cache / name)
    return Kernel(name.removeprefix(PACKAGE), cache / name)


def _newest_package() -> str | None:
    """Return the package of the newest kernel that apt knows, None without any."""
    if shutil.which("apt-cache") is None:
        return None
    for meta in METAPACKAGES:
        asked = ("apt-cache", "depends", meta)
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        named = [w for w in told.stdout.split() if w.startswith(PACKAGE) and w != meta]
        if named:
            return named[0]
    return None


def _version(path: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", path.name)[:3]))


def _initrd(kernel: Kernel, path: Path) -> Path:
    newest = max(file.stat().st_mtime for file in (HERE / "init.sh", Path(__file__)))
    if path.exists() and path.stat().st_mtime > newest:
        return path
    if not (kernel.modules / "modules.dep").exists():
        subprocess.run(["depmod", "-b", kernel.root, kernel.version], check=True)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("bin", "dev", "proc", "sys", "new", "ro", "rw", "lib/modules"):
            (root / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        for module in _modules(kernel):
            _copy_module(module, root / module.relative_to(kernel.root))
        for name in ("modules.builtin", "modules.order"):
            shutil.copy(kernel.modules / name, root / "lib/modules" / kernel.version)
        subprocess.run(
            ["depmod", "-b", root, kernel.version],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        init = (HERE / "init.sh").read_text().replace("@MODULES@", " ".join(MODULES))
        (root / "init").write_text(init)
        (root / "init").chmod(0o755)
        names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
        packed = subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"],
            cwd=root,
            input=names.encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    path.write_bytes(gzip.compress(packed.stdout, 1))
    return path


def _modules(kernel: Kernel) -> set[Path]:
    """Return the files of all modules that are wanted, and of those they need."""
    found: set[Path] = set()
    for name in (*MODULES, *ON_DEMAND):
        words = ("-d", kernel.root, "-S", kernel.version, "--show-depends", name)
        told = subprocess.run(
            [shutil.which("modprobe") or "/sbin/modprobe", *words],
            capture_output=True,
            text=True,
            check=False,  # some are part of the kernel itself
        )
        lines = [line.split() for line in told.stdout.splitlines()]
        found |= {Path(words[1]) for words in lines if words[0] == "insmod"}
    return found


def _copy_module(module: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if module.suffix == ".xz":  # busybox reads none that is packed
        to.with_suffix("").write_bytes(lzma.decompress(module.read_bytes()))
    else:
        shutil.copy(module, to)


def acceleration(kernel: Kernel, initrd: Path, cache: Path) -> tuple[str, ...]:
    """Return QEMU's options for the processor: the real one if a guest runs on it.

    That /dev/kvm can be opened says nothing, so a guest is tried, once a boot.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return SOFTWARE
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = cache / "kvm"
    if not kept.exists() or not kept.read_text().startswith(boot):
        tried = run(kernel, initrd, "true", cache / "probe", HARDWARE, PROBE_LIMIT)
        kept.write_text(f"{boot} {'yes' if tried == 0 else 'no'}")
    return HARDWARE if kept.read_text().endswith("yes") else SOFTWARE


def run(
    kernel: Kernel,
    initrd: Path,
    script: str,
    out: Path,
    options: tuple[str, ...],
    limit: float = LIMIT,
) -> int | None:
    """Return the exit code of a shell script in the guest, None if it never ended.

    The guest sees `out` as /out; its console is kept in `out/console.log`.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "start").write_text(f"cd {shlex.quote(str(PROJECT))} || exit 1\n{script}\n")
    shares = [
        "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        f"local,id=out,path={out},security_model=none",
    ]
    command = [
        *("qemu-system-x86_64", *options, "-m", "1024", "-smp", "2"),
        *("-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel.image), "-initrd", str(initrd)),
        *(
            "-append",
            "console=ttyS0 quiet panic=-1 oops=panic",
            "-device",
            "virtio-rng-pci",
        ),
    ]
    for share, tag in zip(shares, ("host", "out"), strict=True):
        command += ["-fsdev", share]
        command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    with (out / "console.log").open("wb") as console:
        machine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            machine.wait(limit)
        except subprocess.TimeoutExpired:
            machine.kill()
            machine.wait()
    code = out / "rc"
    return int(code.read_text()) if code.exists() else None
