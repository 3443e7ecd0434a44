from collections.abc import Mapping
from typing import Any

import onnx
from onnx_graphsurgeon import Constant, Function, Graph, Tensor

class OnnxExporter:
    @staticmethod
    def export_tensor_proto(tensor: Constant) -> onnx.TensorProto: ...
    @staticmethod
    def export_value_info_proto(tensor: Tensor, do_type_check: bool) -> onnx.ValueInfoProto: ...
    @staticmethod
    def export_attributes(attrs: Mapping[str, Any]) -> list[onnx.AttributeProto]: ...
    @staticmethod
    def export_function(func: Function) -> onnx.FunctionProto: ...

def update_import_domains(graph: Graph) -> list[onnx.OperatorSetIdProto]: ...
