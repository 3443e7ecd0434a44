"""Quantisers, and operators of integer codes."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators import jump_errors
from onnx2snn.operators.table import Operator

_INTEGER = Operator(name="", domain=MICROSOFT)

OPERATORS = (
    Operator(name="QuantizeLinear", quantiser=True, jumps=True, whole=True, errors=jump_errors.jump),
    Operator(name="DequantizeLinear", quantiser=True),
    Operator(name="DynamicQuantizeLinear", by_range=True, jumps=True),
    replace(_INTEGER, name="QuantizeLinear", quantiser=True, jumps=True, whole=True, code_type=2),
    replace(_INTEGER, name="DequantizeLinear", quantiser=True),
    *_INTEGER.called("QLinearConcat", code_type=1),
    *_INTEGER.called("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearReduceMean", code_type=4),
    *_INTEGER.called("QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", code_type=4),
    *_INTEGER.called("QLinearAdd", "QLinearConv", "QLinearConvTranspose", "QLinearMul", code_type=7),
    *_INTEGER.called("MatMulIntegerToFloat", code_type=7, code_products=True),
    *Operator(name="", code_products=True).called("ConvInteger", "MatMulInteger"),
    *_INTEGER.called("QGemm", "QLinearWhere", code_type=8),
)
