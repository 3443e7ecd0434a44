"""A torch module as an ONNX model; torch is loaded where one is given, and nowhere else."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from onnx2snn.errors import ConversionError, InputError, OutputError


def module_to_onnx(
    module: Any,
    example_inputs: Any,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """What torch's exporter writes of ``module``: for evaluation, any batch size, weights inside.

    Args:
        module: Takes tensors (N, ...), gives one or several; left in the mode that it was in.
        example_inputs: As its ``forward`` takes them, with the shapes of the real ones: a tensor or array (N, ...), a tuple of
            them, or {parameter: tensor}.
        input_names: Of the graph's inputs; None: the parameters' of ``forward``.
        output_names: Of the graph's outputs; None: the exporter's.

    Raises:
        InputError: example inputs are missing, or are no tensors of samples.
        OutputError: onnxscript is not there.
        ConversionError: torch cannot export this module.
    """
    if importlib.util.find_spec("onnxscript") is None:
        remedy = "pip install 'onnx2snn[train]'"
        raise OutputError("torch exports with onnxscript, which is missing", remedy=remedy)
    tensors = _tensors(module, example_inputs)
    was_training = module.training
    module.eval()
    try:
        program = _exported(module, tensors, input_names or list(tensors), output_names)
    except Exception as error:  # the exporter's errors share no base class
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "export it yourself (torch.onnx.export), and give the file"
        raise ConversionError("torch cannot export this module", found=found, remedy=remedy) from error
    finally:
        module.train(was_training)
    return _without_source_paths(program)


def _exported(
    module: Any, tensors: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str] | None
) -> onnx.ModelProto:
    import torch  # noqa: PLC0415 - whoever has a module has loaded it

    batch = torch.export.Dim("N")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own making: deprecations, opset conversion
        program = torch.onnx.export(
            module,
            tuple(tensors.values()),
            input_names=list(inputs),
            output_names=list(outputs) if outputs else None,
            dynamic_shapes=tuple({0: batch} for _ in tensors),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise AssertionError("the dynamo exporter returns a program")
    proto: onnx.ModelProto = program.model_proto
    return proto


def _tensors(module: Any, example_inputs: Any) -> dict[str, Any]:
    """By parameter of ``forward``, two samples: a batch of one would be exported as a constant."""
    import torch  # noqa: PLC0415

    remedy = "give onnx2snn.convert(module, example_inputs) what the module is called with: a tensor (N, ...), or a tuple of them"
    if example_inputs is None:
        raise InputError("a torch module is exported with example inputs", remedy=remedy)
    if isinstance(example_inputs, Mapping):
        given = dict(example_inputs)
    else:
        values = example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
        names = [name for name in inspect.signature(module.forward).parameters if name != "self"]
        if len(values) > len(names) or any(name.startswith("*") for name in names):
            names = [f"input{i}" if i else "input" for i in range(len(values))]
        given = dict(zip(names, values, strict=False))
    found = {}
    for name, value in given.items():
        tensor = torch.as_tensor(value)
        if tensor.ndim < 1 or not len(tensor):
            shape = tuple(tensor.shape)
            raise InputError(f"example input '{name}' holds no samples", found=shape, remedy=remedy)
        found[name] = torch.cat([tensor[:1].detach()] * 2)
    return found


def _without_source_paths(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the stack traces that the exporter keeps on nodes: paths of the machine that trained."""
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    return model
