"""The wheel as a user gets it: built from the sdist of a clean copy, installed into an empty environment, run there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import Example

import onnx2snn
from onnx2snn.runtime import SpikingSession

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
#: What needs an extra, or is a program.
_OTHERS = (
    "onnx2snn/training/",
    "onnx2snn/events/",
    "onnx2snn/cli/finetune_with_torch.py",
    "onnx2snn/report/figures/",
    "onnx2snn/__main__.py",
)
_IMPORT_ALL = """
import importlib, sys, onnx2snn
for name in sys.argv[1:]:
    importlib.import_module(name)
print(onnx2snn.__file__)
"""


@dataclass(frozen=True)
class Installed:
    """An environment of its own with the wheel in it, and a folder to work in that is not the checkout's."""

    environment: Path
    folder: Path

    def __call__(self, *words: str, exits: int = 0, program: Sequence[str] = ("onnx2snn",)) -> str:
        """Run a command; what it prints."""
        path = self.environment / "bin" / program[0]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        ended = subprocess.run(
            [path, *program[1:], *words],
            cwd=self.folder,
            env=clean,
            check=False,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == exits, (words, ended.stdout, ended.stderr)
        return ended.stdout + ended.stderr

    def install(self, *packages: str) -> None:
        """Install what a user would, with the versions that CI has."""
        pip = [sys.executable, "-m", "pip", f"--python={self.environment / 'bin' / 'python'}", "install"]
        quiet = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *quiet, *packages], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from what git knows of this tree: both have to hold everything."""
    clean, built = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("built")
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, known.stdout.split("\0")):
        if os.path.lexists(ROOT / name):
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clean / name, follow_symlinks=False)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(clean)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path, example: Example) -> Installed:
    """The wheel and what it requires, nothing else; the example's files in a folder with a name of two words."""
    folder = tmp_path_factory.mktemp("some where")
    for path in (example.ann, example.data):
        shutil.copy(path, folder)
    made = Installed(tmp_path_factory.mktemp("environment"), folder)
    venv.create(made.environment, symlinks=True)
    made.install(str(wheel))
    return made


@pytest.fixture(scope="module")
def with_extras(installed: Installed, wheel: Path) -> Installed:
    """The same environment, with what the page and pictures need; asked for by the tests behind those without."""
    installed.install(f"{wheel}[report,images,events]")
    return installed


def test_it_holds_every_module_and_every_file_of_data(wheel: Path) -> None:
    tree = {
        path.relative_to(ROOT).as_posix()
        for folder, _, names in os.walk(ROOT / "onnx2snn", followlinks=True)
        for path in (Path(folder, name) for name in names)
        if folder.rpartition(os.sep)[2] != "__pycache__"  # compiled by Python, and by Numba
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert len(tree) > 200
    assert held == tree


def test_every_module_can_be_imported_with_what_the_wheel_requires(installed: Installed, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in archive.namelist() if name.endswith(".py") and not name.startswith(_OTHERS)]
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files]
    assert len(modules) > 150
    place = installed("-c", _IMPORT_ALL, *modules, program=["python"])
    assert Path(place.strip()).is_relative_to(installed.environment)


def test_commands_that_need_no_extra(installed: Installed, relu_network: Path) -> None:
    shutil.copy(relu_network, installed.folder / "relu.onnx")
    installed("ann.onnx", "snn.onnx")
    installed("inspect", "snn.onnx")
    installed("verify", "ann.onnx", "snn.onnx")
    verified = json.loads(installed("verify", "ann.onnx", "snn.onnx", "--data", "data.npz", "--json"))
    assert verified["lossless"]
    installed("run", "snn.onnx", "--data", "data.npz", "--output", "result.npz")
    assert "logits" in np.load(installed.folder / "result.npz")
    installed("evaluate", "snn.onnx", "--data", "data.npz", "--workers", "2")
    installed("calibrate", "relu.onnx", "quantised.onnx", "--data", "data.npz", "--timesteps", "4")
    installed("convert", "relu.onnx", "spiking.onnx", "--calibrate", "data.npz", "--timesteps", "4")
    installed("report", "ann.onnx", "snn.onnx", "--data", "data.npz", "--json")


def test_a_command_whose_extra_is_missing_names_it(installed: Installed) -> None:
    installed("ann.onnx", "snn.onnx")
    page = ["--data", "data.npz", "--html", "page.html"]
    assert "onnx2snn[report]" in installed("report", "ann.onnx", "snn.onnx", *page, exits=4)
    assert "onnx2snn[report]" in installed("verify", "ann.onnx", "snn.onnx", *page, exits=4)
    by_events = ["run", "snn.onnx", "--data", "data.npz", "--backend", "events"]
    assert "onnx2snn[events]" in installed(*by_events, exits=4)
    assert "onnx2snn[train]" in installed("finetune", "ann.onnx", "tuned.onnx", exits=4)
    assert "onnx2snn[cluster]" in installed(
        "evaluate", "snn.onnx", "--data", "data.npz", "--ray", "local", exits=4
    )


def test_pages_and_pictures(with_extras: Installed) -> None:
    image = pytest.importorskip("PIL.Image")
    for number in range(2):
        (with_extras.folder / f"pictures/{number}").mkdir(parents=True)
        image.new("L", (8, 8), 100 * number).save(with_extras.folder / f"pictures/{number}/one.png")
    with_extras("ann.onnx", "snn.onnx")
    with_extras("run", "snn.onnx", "--data", "pictures")
    page = ["--data", "data.npz", "--html"]
    with_extras("report", "ann.onnx", "snn.onnx", *page, "report.html")
    with_extras("verify", "ann.onnx", "snn.onnx", *page, "certificate.html")
    assert "<svg" in (with_extras.folder / "report.html").read_text()
    assert "<svg" in (with_extras.folder / "certificate.html").read_text()


def test_spikes_are_followed(with_extras: Installed) -> None:
    with_extras("ann.onnx", "snn.onnx")
    found = []
    for backend in ("onnxruntime", "events"):
        to = ["--output", f"{backend}.npz"]
        with_extras(
            "run", "snn.onnx", "--data", "data.npz", "--execution", "fused", "--backend", backend, *to
        )
        found.append(np.load(with_extras.folder / f"{backend}.npz"))
    for name in found[0].files:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-5, atol=1e-5)


def test_finetuning_from_the_wheel(wheel: Path, example: Example, tmp_path: Path) -> None:
    """In this environment, which has torch after ``make test-train``, but with the wheel's modules instead of the tree's."""
    if importlib.util.find_spec("onnx2torch") is None:  # finding is not importing: that wants torchvision
        pytest.skip("needs torch (extra train)")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "modules")
    words = ["finetune", str(example.ann), "tuned.onnx", "--data", str(example.data), "--epochs", "1"]
    started = [sys.executable, "-m", "onnx2snn", *words]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "modules")}
    subprocess.run(started, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "tuned.onnx").exists()


def test_a_device_with_an_older_python_runs_compiled_files(
    tmp_path_factory: pytest.TempPathFactory, wheel: Path, example: Example
) -> None:
    """Of all that the wheel requires there, pip installs NumPy and onnxruntime alone."""
    python = _interpreter("python3.10")
    if python is None:
        pytest.skip("no python3.10 here")
    device = Installed(tmp_path_factory.mktemp("device"), tmp_path_factory.mktemp("files"))
    subprocess.run([python, "-m", "venv", str(device.environment)], check=True)
    device(f"{wheel}", program=("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"))
    onnx2snn.compile(example.snn, count="spikes").save(device.folder / "fast.onnx")
    shutil.copy(example.data, device.folder / "data.npz")
    code = """
import numpy as np
from onnx2snn.runtime import SpikingSession
with SpikingSession("fast.onnx") as session, np.load("data.npz") as data:
    session.warm_up()
    print(sum(int(s.sum()) for s in session.run({name: data[name] for name in session.inputs}).spikes.values()))
"""
    with np.load(example.data) as data:
        session = SpikingSession(device.folder / "fast.onnx")
        expected = session.run({name: data[name] for name in session.inputs}).spikes
    found = device(code, program=("python", "-c"))
    assert found.split()[-1] == str(sum(int(s.sum()) for s in expected.values()))
    assert "there is no click" in device("run", "fast.onnx", exits=4)


def _interpreter(name: str) -> str | None:
    """A Python of this name that starts: a version manager may only say that there is one."""
    for path in (
        shutil.which(name),
        *map(str, Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}.*/bin/python")),
    ):
        if path and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0:
            return path
    return None
