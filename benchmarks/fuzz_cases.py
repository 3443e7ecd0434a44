"""The cases of :mod:`fuzz_files`: a damaged file and a command for each number."""

from __future__ import annotations

import contextlib
import io
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from damaged_data import damaged_data
from damaged_models import damaged
from process_memory import peak_memory

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "corpus"
#: Sources that convert quickly, of every exporter; one of them cannot be converted, one wants calibration.
SEEDS = (
    "torchdy21__mlp-qcfs16-dyadic-b1",
    "torchts13__mlp-lsq2-dyn",
    "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
    "ortquant__mlp-relu-qdq_s8sym",
    "ortquant__mlp-relu-qop_u8",
    "ortquant__plain-relu-qdq_u4",
    "brevitas__plain-a2w2-qonnx",
    "brevitas__inq-a8w8pc-qcdq",
    "keras13__plain-rq15",
    "torchts11__preact-qcfs16-dyn",
    "torchts16__unet-qcfs16-dyadic-dyn",
    "torchts11__conv3d-qcfs4pc-dyn",
    "torchts17__mlp-relu-dyn",
    "torchts13__plain-silu-b1",
)
UNCONVERTED = ("torchts17__mlp-relu-dyn", "torchts13__plain-silu-b1")


class Bench:
    """Good files to damage, and commands to give them to."""

    def __init__(self, folder: Path, *, training: bool = False) -> None:
        self.folder, self.training = folder, training
        self.good = folder / "good"

    def prepare(self) -> None:
        """Convert every seed once."""
        import onnx2snn  # noqa: PLC0415 - workers need it late

        self.good.mkdir(parents=True)
        for name in SEEDS:
            shutil.copy(CORPUS / f"{name}.onnx", self.good / f"{name}.onnx")
            with np.load(CORPUS / f"{name}.npz") as arrays:
                inputs = {key: values[:4] for key, values in arrays.items() if not key.startswith("expected")}
            np.savez(self.good / f"{name}.npz", **inputs)
            if name not in UNCONVERTED:
                onnx2snn.convert(self.good / f"{name}.onnx").save(self.good / f"{name}.snn.onnx")

    def case(self, number: int, work: Path) -> tuple[str, str, list[str], int]:
        """Write the damaged file; what was done to it, the command's name, its words, and the number of bytes."""
        name = SEEDS[number % len(SEEDS)]
        kind = (number // len(SEEDS)) % 11
        source, snn, data = (str(self.good / f"{name}{end}") for end in (".onnx", ".snn.onnx", ".npz"))
        out = str(work / "out")
        if self.training:
            return self._trained(name, number, work)
        if name in UNCONVERTED:
            kind = (0, 1, 2, 3, 0, 2, 2, 3, 3, 2, 0)[kind]
        if kind == 9:
            damage, path, words = damaged_data(Path(data), number, work)
            command = "run"
            return damage, command, [command, snn, "--data", path, *words, "--output", out], _size(work)
        bad = str(work / "model.onnx")
        damage, content = damaged(Path(snn if kind >= 4 else source).read_bytes(), number)
        Path(bad).write_bytes(content)
        words = (
            ["convert", bad, out],
            ["inspect", bad],
            ["convert", bad, out, "--hybrid"],
            ["calibrate", bad, out, "--data", data, "--timesteps", "3"],
            ["run", bad, "--data", data, "--output", out],
            ["evaluate", bad, "--data", data],
            ["verify", source, bad, "--data", data],
            ["session", bad, data],
            ["verify", bad, snn, "--data", data] if number % 3 == 0 else ["inspect", bad],
            [],
            ["report", source, bad, "--data", data, "--html", out],
        )[kind]
        if kind == 8 and number % 3 == 0:
            damage, content = damaged(Path(source).read_bytes(), number)
            Path(bad).write_bytes(content)
        return damage, words[0], words, len(content)

    def _trained(self, name: str, number: int, work: Path) -> tuple[str, str, list[str], int]:
        """As :meth:`case`: networks, and of four numbers once data, that are trained on."""
        source, data, bad = self.good / f"{name}.onnx", self.good / f"{name}.npz", work / "model.onnx"
        options = ["--epochs", "2", "--pruning", "1e-6", "--timesteps", "2"]
        if number % 4 == 3:
            damage, path, words = damaged_data(data, number, work)
            return (
                damage,
                "finetune",
                ["finetune", str(source), str(work / "out"), "--data", path, *words, *options],
                _size(work),
            )
        damage, content = damaged(source.read_bytes(), number)
        bad.write_bytes(content)
        return (
            damage,
            "finetune",
            ["finetune", str(bad), str(work / "out"), "--data", str(data), *options],
            len(content),
        )

    def run(self, number: int, work: Path) -> dict[str, Any]:
        """Do one case."""
        damage, command, words, size = self.case(number, work)
        began = time.process_time()
        with (
            contextlib.redirect_stdout(io.StringIO()) as said,
            contextlib.redirect_stderr(io.StringIO()) as told,
        ):
            code = (
                run_session(*words[1:], number=number)
                if command == "session"
                else run_command([*words, "--verbose"])
            )
        seconds = time.process_time() - began
        error = told.getvalue().strip()
        if command == "session" and code == 70:
            error = said.getvalue().strip()
        left = [entry.name for entry in work.iterdir() if ".writing-" in entry.name]
        half = code not in {0, 1} and (work / "out").exists()
        return {
            "number": number, "damage": damage, "command": command, "bytes": size, "code": code,
            "seconds": round(seconds, 3), "error": error[-2500:], "left": left, "half": half,
            "peak": peak_memory(),
        }  # fmt: skip


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


def run_command(words: list[str]) -> int:
    """The exit code of the command line."""
    from onnx2snn.cli.group import main  # noqa: PLC0415

    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def run_session(model: str, data: str, *, number: int) -> int:
    """The edge device's way: one execution, run, levels and trace."""
    from onnx2snn.errors import Onnx2SnnError  # noqa: PLC0415
    from onnx2snn.runtime import SpikingSession  # noqa: PLC0415

    with np.load(data) as arrays:
        inputs = {key: values for key, values in arrays.items() if key != "labels"}
    try:
        session = SpikingSession(model, execution=("spiking", "fused", "streaming")[number % 3])
        session.run(inputs)
        session.levels(inputs)
        if number % 2:
            session.trace(inputs)
    except Onnx2SnnError as error:
        return error.exit_code
    except MemoryError:
        return 4
    except Exception:  # noqa: BLE001 - that is what is looked for
        print(traceback.format_exc())
        return 70
    return 0
