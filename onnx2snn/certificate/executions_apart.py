"""Two executions of one spiking network whose levels are equal: what rounding may do to the outputs behind them."""

from __future__ import annotations

from collections.abc import Mapping

from onnx2snn.certificate.batch_findings import Findings
from onnx2snn.certificate.outputs import Readout, allowed_of_executions, readout_defects
from onnx2snn.certificate.potentials import Path, Potentials
from onnx2snn.certificate.reading import unit_of_type
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.dialect.subnetworks import cut_spiking
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.signals import Precision


def executions_apart(
    network: SplitModel,
    given: tuple[Mapping[str, Array], Mapping[str, Array]],
    written: Mapping[str, Array],
    found: Mapping[str, Array],
) -> Findings:
    """Numbers of outputs that differ by more than the rounding of both readouts explains.

    Args:
        network: The spiking network.
        given: A batch, by name; and by layer the levels (N, ...) that both executions answer to it.
        written: What the one answers, by output.
        found: What the other answers, in the same shapes and types.
    """
    table = read_layer_table(network.structure)
    names = {layer["name"]: layer["name"] for layer in table["layers"]}
    # A rate code adds its bias at each step, none of which weighs more than another: as in the paper's form.
    form = "paper" if table.get("coding") == "rate" else str(table.get("bias", "once"))
    cut = cut_spiking(network, names, bias=form)
    read = {**given[0], **{f"level/{name}": k for name, k in given[1].items()}}
    findings = Findings()
    for name, value in written.items():
        precision = Precision(int(table["timesteps"]), unit_of_type(value.dtype))

        def potentials(_: object, name: str = name, precision: Precision = precision) -> Potentials:
            model = cut.before(name)
            return Path((model, model), read, precision=precision, by_samples=False)(read).part(None)

        # The batch is compared as one sample: an output need not have an axis of samples.
        answers = (value[None], found[name][None])
        findings += readout_defects(
            Readout(name, 0, 1, *answers, precision, potentials, allowed_of_executions)
        )
    return findings
