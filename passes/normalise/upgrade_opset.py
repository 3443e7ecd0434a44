"""One opset for all passes, whatever the file was written for."""

from __future__ import annotations

import onnx
from onnx import version_converter
from onnx.numpy_helper import to_array

from onnx2snn.errors import ConversionError, InvalidModelError
from onnx2snn.model.nodes import STANDARD, held_tensors, is_own
from onnx2snn.remedies import HALF_PIXEL

#: Everything is brought to this opset, or stays at a newer one: the first with 4- and 16-bit quantisers.
OPSET = 21


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set."""
    return next((o.version for o in model.opset_import if o.domain in STANDARD), 1)


def upgrade_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring ``model`` (which may be changed) to :data:`OPSET`, where it comes from an older one.

    ``onnx.version_converter`` does it, but for what it forgets:

    1. ``Upsample`` and the ``Resize`` of opset 10 place their samples *asymmetrically*; the later default does not.
    2. ``Resize`` of opset 10 takes, of two neighbours, the one before where it enlarges, the one after where it reduces.
    3. ``Resize`` for TensorFlow's nearest neighbours, which later operator sets no longer have, is one of half pixels.
    4. The ``value`` of a ``Pad`` that reflects or repeats means nothing; behind the upgrade it stays where none may be.

    Raises:
        InvalidModelError: the opset is from the future, or an operator has no form in the newer one.
        ConversionError: an operator of an old set has no form in ours.
    """
    version = opset_of(model)
    newest = onnx.defs.onnx_opset_version()
    if version > newest:
        raise InvalidModelError(
            "it is written for an operator set that is newer than the onnx package here",
            found=f"opset {version}; the newest known is {newest}",
            remedy="update the onnx package, or export with an older opset",
        )
    for node in model.graph.node:
        _place_at_half_pixels(node)
    if version >= OPSET:
        return model
    placed = _placements(model) if version < 11 else []
    for node in model.graph.node:
        if is_own(node, "Pad") and not _fills(node):
            _remove(node, "value")
    upgraded = _converted(model)
    resizing = [node for node in upgraded.graph.node if is_own(node, "Resize")]
    for node, nearest in zip(resizing, placed, strict=False):  # names change on the way, the order does not
        _set(node, "coordinate_transformation_mode", "asymmetric")
        _set(node, "nearest_mode", nearest)
    return upgraded


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """The nodes of the newer set; shapes as the file says them, not as the library infers them on the way (by older rules).

    Tools that change the types of a network leave stale types of its inner tensors behind: they are not needed.
    """
    declared, version = {info.name: info for info in model.graph.output}, opset_of(model)
    try:
        upgraded = _attempted(model)
    except Exception as error:  # whatever the library raises, the file is at fault
        raise InvalidModelError(
            f"it cannot be brought from opset {version} to {OPSET}",
            found=(str(error).strip() or type(error).__name__).splitlines()[0],
            remedy="export it again with opset 13 or newer",
        ) from error
    for info in upgraded.graph.output:
        info.CopyFrom(declared[info.name])
    del upgraded.graph.value_info[:]
    upgraded.graph.value_info.extend(model.graph.value_info)
    return upgraded


def _attempted(model: onnx.ModelProto) -> onnx.ModelProto:
    upgraded: onnx.ModelProto
    try:
        upgraded = version_converter.convert_version(model, OPSET)
    except Exception:  # whatever it is; the second attempt says what is wrong
        if not model.graph.value_info:
            raise
        del model.graph.value_info[:]
        upgraded = version_converter.convert_version(model, OPSET)
    return upgraded


def _placements(model: onnx.ModelProto) -> list[str]:
    """Of each old resizing operator, in order, which neighbour is nearest."""
    held = held_tensors(model.graph)
    modes = []
    for node in model.graph.node:
        if is_own(node, "Upsample", "Resize"):
            scales = held.get(node.input[1]) if len(node.input) > 1 else None
            reduces = is_own(node, "Resize") and scales is not None and bool((to_array(scales) < 1).any())
            modes.append("ceil" if reduces else "floor")
    return modes


def _place_at_half_pixels(node: onnx.NodeProto) -> None:
    """Case 3: ``tf_half_pixel_for_nn`` looks at u = (x + ½) / scale, ``half_pixel`` at v = u − ½.

    floor(u) = floor(v + ½), which rounds v half up; u rounded half down is ceil(u − ½) = ceil(v).
    """
    texts = {a.name: a.s for a in node.attribute if a.type == onnx.AttributeProto.STRING}
    if texts.get("coordinate_transformation_mode") != b"tf_half_pixel_for_nn":
        return
    nearest = texts.get("nearest_mode", b"round_prefer_floor")
    alike = {b"floor": "round_prefer_ceil", b"round_prefer_floor": "ceil"}
    if texts.get("mode", b"nearest") != b"nearest" or nearest not in alike:
        raise ConversionError(
            "a Resize that places its samples by 'tf_half_pixel_for_nn' is converted for nearest neighbours only",
            node=node.name or node.output[0],
            operator="Resize",
            found=f"nearest_mode '{nearest.decode()}'",
            remedy=HALF_PIXEL,
        )
    _set(node, "coordinate_transformation_mode", "half_pixel")
    _set(node, "nearest_mode", alike[nearest])


def _fills(pad: onnx.NodeProto) -> bool:
    """Whether it pads with a number: the default."""
    return all(a.s == b"constant" for a in pad.attribute if a.name == "mode")


def _remove(node: onnx.NodeProto, name: str) -> None:
    for attribute in list(node.attribute):
        if attribute.name == name:
            node.attribute.remove(attribute)


def _set(node: onnx.NodeProto, name: str, value: str) -> None:
    _remove(node, name)
    node.attribute.append(onnx.helper.make_attribute(name, value))
