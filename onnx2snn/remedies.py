"""What to do about a network that does not convert: every remedy that a refusal may give.

Each is tested by being followed: a network that is refused with it, and what it says, done, which then converts
(``tests/test_remedies.py``, which fails where one is added without). Refusals put them together with :func:`either`.
"""

from __future__ import annotations

CALIBRATE = (
    "quantise it (train with QCFS or similar), or calibrate it (in Python: calibrate=data): "
    "--calibrate DATA --timesteps 4"
)
KEEP_TOO = "with --hybrid beside it"
QUANTISE = "train with a clipped, quantised activation (QCFS or similar)"
REPLACE = "replace it"
HYBRID = f"{REPLACE}, or keep it as a non-spiking operator with --hybrid"
FUNCTIONS = "train with functions of one tensor instead (ReLU, SiLU, GELU, products, normalisations), and calibrate it"
KEEP = "keep it as it is with --hybrid"
ACTIVATIONS = "put activations between its layers, and train it with them"
PLATEAUS = (
    "keep its highest and its lowest value off the thresholds: round to the nearest level (Round, or half a step in front of "
    "Floor), or write its clip as Clip"
)
ONE_SCALE = "give them one scale, or scales of which all are multiples"
ONE_SCALE_INSIDE = (
    "quantise what it pools, or give what it sums one scale, or scales of which all are multiples"
)
CONSTANTS = "export it with constant ones"
CHANNEL_SCALES = "give it one scale, or one for each channel"
INTEGER_CODES = "quantise to integers"
FEWER_BITS = "give its channels at most 16 bits"
FEWER_LEVELS = "quantise its activations to fewer bits"
STATIC = (
    "quantise it with constant scales (onnxruntime.quantization.quantize_static), or give the float network that it was "
    "made from: --calibrate DATA --timesteps 4"
)
BINARY = 'leave coding as it is ("binary")'
ONE_SAMPLE = "export it with a batch of 1, so that each sample has a scale of its own"
AS_IT_IS = "convert it as it is"
ITS_SOURCE = "give the network it was made from"
SHAPES = (
    "export the network with the shapes of its inputs, and with constants for the sizes that an operator in front reads "
    "(Reshape, Expand)"
)
ROWS_APART = "export the network with the axis of these rows apart from the batch"
BATCH_IN_FRONT = "export the network with a batch axis in front of its inputs, of size 1 or dynamic"
HALF_PIXEL = "export it with coordinate_transformation_mode half_pixel"
ALIKE = "make an input that is the same for all samples a constant"
DYNAMIC_BATCH = "export it with a dynamic batch axis"
EVALUATION = (
    "export it in evaluation mode: model.eval() before torch.onnx.export, or training=TrainingMode.EVAL"
)
AS_EXPORTED = "give the network as it was exported, from before those tools changed it"
BEFORE_HARDWARE = (
    "give the network that FINN was given, or one of FINN's own steps before its layers become hardware"
)
IN_FRONT = (
    "give the network that ends in front of it: "
    "onnx.utils.extract_model('in.onnx', 'front.onnx', inputs, [what it reads], check_model=False)"
)
NUMBERS = "export the network again, from a state in which its training had not diverged"
IN_RANGE = "keep what it reads within the range of float32 (smaller steps or bounds in front of Exp, products and powers)"
UNCHECKED = "write it unchecked with --no-check, if real samples do not overflow"


def either(*remedies: str) -> str:
    """Any one of ``remedies`` helps."""
    return ", or ".join(remedies)
