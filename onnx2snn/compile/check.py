"""A compiled network, loaded and run beside the file that it was made from, before anybody gets it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.as_written import Shown, near
from onnx2snn.certificate.defects import check_form, defect
from onnx2snn.certificate.executions_apart import executions_apart
from onnx2snn.certificate.finished import Witness, broken_rule
from onnx2snn.compile.draft import Array
from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.in_memory import loadable
from onnx2snn.compile.network import Network
from onnx2snn.compile.opsets import opset_of
from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.backends import OnnxruntimeEngine
from onnx2snn.runtime.pipeline import Pipeline, StreamingEngine

#: float32 sums of some thousand terms in another order, as a share of a layer's largest potential.
ROUNDING = 2.0**-12


def check_compiled(made: SplitModel, network: Network, execution: str) -> str:
    """Keep to ONNX's rules, load, and answer a drawn sample as the converted file does, run as it is: ``equal``, ``explained``.

    Outputs may differ where a potential is so near to its threshold that the order of a sum decides: then the first layer
    whose levels differ has to have such a potential wherever they do.

    Raises:
        SelfCheckError: it does not; says what differs.
        InputError: it is of a newer operator set than the network, and onnxruntime does not have that.
    """
    if broken := broken_rule(made):
        raise defect("the compiled network is against the rules of ONNX", found=broken)
    witness = Witness.of(network.split)
    try:
        found = _answers(made, network, execution, witness.inputs)
    except InvalidModelError as error:
        said, opset = str(error.found or error), opset_of(made.structure)
        if opset > network.opset:  # asked for: nothing that is written needs it
            raise InputError(
                f"onnxruntime cannot run this network in opset {opset}",
                found=said,
                remedy="leave --opset away, for the oldest that has its operators; for another runtime, give --no-check",
            ) from error
        raise defect("onnxruntime cannot run the compiled network", found=said) from error
    if not witness.outputs:
        return f"loaded; no sample could be drawn: {witness.failure}".splitlines()[0]
    check_form(found, witness.outputs, network="compiled", source="file")
    if all(near(found[name], value) for name, value in witness.outputs.items()):
        return "equal"
    _explain(network, execution, witness, found)
    return "explained"


def _answers(
    made: SplitModel, network: Network, execution: str, inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """What a model answers in onnxruntime; nothing where there are no inputs, but it has been loaded."""
    engine = OnnxruntimeEngine(loadable(made, network), threads=1)
    if not inputs:
        return {}
    if execution == "step":
        pipeline = Pipeline(engine, int(network.table["timesteps"]))
        mixed, axes = bool(network.table["non_spiking"]), network.table.get("sample_axes", {})
        return StreamingEngine(pipeline, network.alike, axis_of=axes, mixed=mixed).run(inputs)
    return engine.run(inputs)


def _explain(network: Network, execution: str, witness: Witness, found: Mapping[str, Array]) -> None:
    """Why what was ``found`` differs: by levels of the file itself, which its trace is near to, or by rounding behind equal ones.

    Raises:
        SelfCheckError: there is no reason.
    """
    inputs, timesteps, layers = witness.inputs, int(network.table["timesteps"]), network.table["layers"]
    trains = {layer["name"]: layer["output"] for layer in layers}
    fused, rate = network.table["execution"] == "fused", network.table.get("coding") == "rate"
    written = Shown(network.split, trains, timesteps, fused=fused, load=make_runner, rate=rate).levels(inputs)
    levels = write_execution(network, execution, count="levels")
    compiled = _answers(levels, network, execution, inputs)
    names = [name for name in trains if (written[name] != compiled[f"levels/{name}"]).any()]
    if names:
        _explain_levels(network, names[0], inputs, written[names[0]] != compiled[f"levels/{names[0]}"])
        return
    same = {name: written[name] for name in trains}
    for one in executions_apart(network.split, (inputs, same), witness.outputs, found).defects[:1]:
        raise defect(
            f"output '{one.layer}' of the compiled network differs where no level does",
            found=f"{one.snn:.6g}, the file {one.ann:.6g}, bound {one.bound:.3g}",
        )


def _explain_levels(
    network: Network, name: str, inputs: Mapping[str, Array], differ: NDArray[np.bool_]
) -> None:
    """Why a layer answers other levels where they ``differ`` (N, ...): its potentials are near their thresholds there."""
    timesteps = int(network.table["timesteps"])
    traced = _answers(write_execution(network, "trace"), network, "trace", inputs)
    course, thresholds = traced[f"potentials/{name}"][-timesteps:], traced[f"thresholds/{name}"]
    thresholds = thresholds.reshape(
        len(thresholds), *(1,) * (course.ndim - thresholds.ndim), *thresholds.shape[1:]
    )
    margin = np.min(np.abs(course - thresholds), axis=0)[differ].max()
    largest = np.abs(course).max()
    if margin > ROUNDING * largest:
        raise defect(
            f"layer '{name}' of the compiled network answers other levels",
            found=f"a potential {margin:.3g} from its threshold, of up to {largest:.3g}",
        )
