"""Networks of other frameworks are read through the tool that writes them as ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_corpus import EXACT, Example

import onnx2snn
from onnx2snn.inspection import inspect_model
from onnx2snn.model import foreign
from onnx2snn.model.file_kinds import FileKind, Tool

#: Copies what it is given: the file holds an ONNX model under another name.
_COPY = """
import onnx, random, shutil, sys
print("a line of the tool's own")
if "broken" in sys.argv[1]:
    sys.exit("ValueError: this file is broken")
shutil.copy(sys.argv[1], sys.argv[3])
if "numbered" in sys.argv[1]:
    model = onnx.load(sys.argv[3])
    ends = {value.name for value in (*model.graph.input, *model.graph.output)}
    made = sorted({name for node in model.graph.node for name in node.output} - ends, key=lambda _: random.random())
    named = {name: f"{name}__{number}" for number, name in enumerate(made)}
    for node in model.graph.node:
        node.input[:] = [named.get(name, name) for name in node.input]
        node.output[:] = [named.get(name, name) for name in node.output]
    del model.graph.value_info[:]
    onnx.save(model, sys.argv[3])
"""


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileKind:
    """A kind that a tool reads, a module in a folder of its own."""
    (tmp_path / "copying_tool.py").write_text(_COPY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = FileKind(
        "a file of some framework", tool=Tool("the tool", ("json",), ("copying_tool",), "try another")
    )
    monkeypatch.setitem(onnx2snn.model.file_kinds._SUFFIXES, ".some", found)
    return found


def test_every_command_takes_it(kind: FileKind, tmp_path: Path) -> None:
    example = Example(EXACT[0])
    source, target = tmp_path / "net.some", tmp_path / "snn.onnx"
    source.write_bytes(example.path.read_bytes())
    assert foreign.foreign_kind(source) is kind
    onnx2snn.convert(source).save(target)
    assert onnx2snn.verify(source, target).lossless
    assert inspect_model(source).activations


def test_it_is_written_once_for_each_state_of_the_file(kind: FileKind, tmp_path: Path) -> None:
    source = tmp_path / "net.some"
    source.write_bytes(Example(EXACT[0]).path.read_bytes())
    first = foreign.written_as_onnx(source, kind, "net")
    assert foreign.written_as_onnx(source, kind, "net") is first
    source.write_bytes(Example(EXACT[1]).path.read_bytes())
    assert foreign.written_as_onnx(source, kind, "net") != first


def test_another_process_reads_the_same_network(kind: FileKind, tmp_path: Path) -> None:
    """A tool may number tensors in the order of a set: ``verify`` would not know what ``convert`` was given."""
    source, target = tmp_path / "numbered.some", tmp_path / "snn.onnx"
    source.write_bytes(Example(EXACT[0]).path.read_bytes())
    onnx2snn.convert(source).save(target)
    written = [foreign.written_as_onnx(source, kind, "net")]
    for _ in range(2):
        foreign._written.cache_clear()
        written.append(foreign.written_as_onnx(source, kind, "net"))
    assert written[0] == written[1] == written[2]
    assert onnx2snn.verify(source, target).lossless


def test_a_file_that_the_tool_cannot_read_is_said_in_its_words(kind: FileKind, tmp_path: Path) -> None:
    assert kind.tool is not None
    source = tmp_path / "broken.some"
    source.write_bytes(b"x")
    with pytest.raises(onnx2snn.InvalidModelError) as raised:
        onnx2snn.convert(source)
    assert "the tool cannot write" in str(raised.value)
    assert "ValueError: this file is broken" in str(raised.value)
    assert "try another" in str(raised.value)
