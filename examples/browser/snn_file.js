// What a compiled network says of itself: its layer table, and what drives it. Protobuf's wire format is a list of (field
// number, wire type, value), so that reading the metadata takes a few lines, and weights are never decoded.

// Field numbers of ModelProto and StringStringEntryProto.
const MODEL = { metadata: 14 };
const ENTRY = { key: 1, value: 2 };
const VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5;

/** {table: {timesteps, layers: [{name, shape, ...}], ...}, facts: {execution, depth, states, stages, ...}}. */
export function described(model) {
  const metadata = {};
  for (const [field, value] of fields(model)) {
    if (field !== MODEL.metadata) continue;
    const entry = Object.fromEntries([...fields(value)].map(([key, bytes]) => [key, text(bytes)]));
    metadata[entry[ENTRY.key]] = entry[ENTRY.value];
  }
  if (!("onnx2snn.compiled" in metadata)) throw new Error("this file is no compiled spiking network");
  return { table: JSON.parse(metadata["onnx2snn"]), facts: JSON.parse(metadata["onnx2snn.compiled"]) };
}

function* fields(bytes) {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const group = bytes[at++];
      value += (group & 0x7f) * scale; // no shift: lengths may need more than 31 bits
      if (group < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number(), field = Math.floor(tag / 8), kind = tag % 8;
    if (kind === VARINT) {
      number();
    } else if (kind === DELIMITED) {
      const length = number();
      yield [field, bytes.subarray(at, at + length)];
      at += length;
    } else if (kind === FIXED32 || kind === FIXED64) {
      at += kind === FIXED32 ? 4 : 8;
    } else {
      throw new Error("this is no ONNX file, or a damaged one");
    }
  }
}

function text(bytes) {
  return new TextDecoder().decode(bytes);
}
