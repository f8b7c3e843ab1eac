"""Where the programs come from: KUBEBUILDER_ASSETS, or one build of pinned Go modules.

The usual way to such programs is to download prebuilt ones, which ties the tests to a host and to
its checksums. `go.mod` and `go.sum` pin the sources instead, so any machine with Go and a module
proxy gets the same programs. The build takes minutes, so its result is kept outside the tree, under
a digest of all that went into it, and used again by every checkout.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

MODULE: Final = Path(__file__).resolve().parent

PACKAGES: Final = MappingProxyType(
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "kwok": "sigs.k8s.io/kwok/cmd/kwok",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    }
)

PROGRESS_SECONDS: Final = 15.0
ERROR_LINES: Final = 15

WITHOUT_GO: Final = (
    "a control plane needs Go 1.26 or newer to build it (see go.dev/doc/install), "
    "or KUBEBUILDER_ASSETS set to a directory with " + ", ".join(PACKAGES)
)

Report = Callable[[str], None]


class BuildError(RuntimeError):
    """The programs are not there and could not be built; the message says what to do."""


def find_programs(environment: Mapping[str, str], report: Report) -> dict[str, Path]:
    """Return the path of every program, after building those that are missing.

    What KUBEBUILDER_ASSETS holds comes from there. It usually lacks the controller manager, the
    scheduler and kwok: these are then built, so its API server meets controllers of the pinned
    version, which `report` is told. The first build takes minutes; later calls find it in the
    cache. Raises BuildError.
    """
    assets = find_assets(environment)
    missing = [name for name in PACKAGES if name not in assets]
    if not missing:
        return assets
    if assets:
        report(
            f"KUBEBUILDER_ASSETS has no {', '.join(missing)}: taken from the pinned modules, "
            f"made for Kubernetes {kubernetes_version()}"
        )
    return assets | build_programs(missing, environment, report)


def are_at_hand(environment: Mapping[str, str]) -> bool:
    """Tell whether `find_programs` would find every program without building one."""
    try:
        cache = cache_directory(environment)
    except BuildError:
        return False
    return all((cache / name).is_file() for name in PACKAGES)


def find_assets(environment: Mapping[str, str]) -> dict[str, Path]:
    """Return the programs in the directory that KUBEBUILDER_ASSETS names, if it is set."""
    setting = environment.get("KUBEBUILDER_ASSETS", "")
    if not setting:
        return {}
    directory = Path(setting).resolve()
    if not directory.is_dir():
        raise BuildError(
            f"KUBEBUILDER_ASSETS is {setting}, which is not a directory: correct or unset it"
        )
    return {name: directory / name for name in PACKAGES if os.access(directory / name, os.X_OK)}


def build_programs(
    names: list[str], environment: Mapping[str, str], report: Report
) -> dict[str, Path]:
    """Return the built programs, compiling those that the cache lacks.

    Safe to call twice, or from two processes at once: each program appears whole or not at all.
    """
    cache = cache_directory(environment)
    cache.mkdir(parents=True, exist_ok=True)
    programs = {name: cache / name for name in names}
    absent = [name for name, path in programs.items() if not path.exists()]
    if absent:
        report(f"building {', '.join(absent)} into {cache}: once, for 5 to 25 minutes")
    for name in absent:
        build(name, programs[name], environment, report)
    return programs


def build(name: str, target: Path, environment: Mapping[str, str], report: Report) -> None:
    """Compile one program. It appears at `target` whole or not at all."""
    partial = target.with_name(f"{name}.partial-{os.getpid()}")
    started = time.monotonic()
    try:
        compile_package(name, partial, environment, report)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    report(
        f"{name}: built in {time.monotonic() - started:.0f} s, {target.stat().st_size >> 20} MiB"
    )


def compile_package(
    name: str, output: Path, environment: Mapping[str, str], report: Report
) -> None:
    """Run `go build -v`, telling `report` how far it is from time to time."""
    command = ["go", "build", "-v", *build_flags(), "-o", str(output), PACKAGES[name]]
    last_lines: deque[str] = deque(maxlen=ERROR_LINES)
    started = reported = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - ours
        command, cwd=MODULE, env=go_environment(environment), stderr=subprocess.PIPE, text=True
    ) as process:
        for count, line in enumerate(process.stderr or (), start=1):
            last_lines.append(line)
            now = time.monotonic()
            if now - reported > PROGRESS_SECONDS:
                reported = now
                report(f"{name}: {count} steps, {now - started:.0f} s")
    if process.returncode:
        raise BuildError(f"go could not build {name}:\n{''.join(last_lines)}")


def build_flags() -> list[str]:
    """Return the flags for small programs that know their version and no path of this machine."""
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = [
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in (("gitVersion", version), ("gitMajor", major), ("gitMinor", minor))
    ]
    return [
        "-trimpath",
        "-buildvcs=false",
        "-mod=readonly",
        "-ldflags",
        " ".join(["-s", "-w", *stamps]),
    ]


def kubernetes_version() -> str:
    """Return the version of Kubernetes that go.mod pins, such as `v1.36.3`."""
    pinned = re.search(
        r"^\s*k8s\.io/kubernetes (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE
    )
    if pinned is None:
        raise BuildError("infra/controlplane/go.mod does not require k8s.io/kubernetes")
    return pinned[1]


def go_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would change the programs that Go makes."""
    return {**environment, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Return the cache for these sources, this Go and these flags. Raises BuildError."""
    parts = [
        (MODULE / "go.mod").read_text(),
        (MODULE / "go.sum").read_text(),
        go_version(environment),
        *build_flags(),
    ]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    home = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "friends-api" / "controlplane" / digest


def go_version(environment: Mapping[str, str]) -> str:
    """Return the compiler's version and target. Raises BuildError when it is absent or too old."""
    if shutil.which("go", path=environment.get("PATH")) is None:
        raise BuildError(WITHOUT_GO)
    command = ["go", "env", "GOVERSION", "GOOS", "GOARCH"]
    answer = subprocess.run(  # noqa: S603 - ours
        command,
        cwd=MODULE,
        env=go_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise BuildError(f"{WITHOUT_GO} ({answer.stderr.strip()})")
    return answer.stdout
