// A converted network as bytes: its layer table, and the same network with its spike trains as further outputs.
//
// Protobuf's wire format is a list of (field number, wire type, value), and a reader merges repeated messages. So reading
// the metadata takes a few lines, and a graph output is added by appending bytes; weights are never decoded.

const TABLE_KEY = "onnx2snn";
const FLOAT = 1;
// Field numbers of ModelProto, GraphProto, StringStringEntryProto, ValueInfoProto and the types below it.
const MODEL = { graph: 7, metadata: 14 };
const GRAPH = { output: 12 };
const ENTRY = { key: 1, value: 2 };
const INFO = { name: 1, type: 2, tensorType: 1, elementType: 1 };
const VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5;

/** The layer table that the converter wrote: {timesteps, layers: [{name, output, shape, ...}], ...}. */
export function layerTable(model) {
  for (const [field, value] of fields(model)) {
    if (field !== MODEL.metadata) continue;
    const entry = Object.fromEntries([...fields(value)].map(([key, bytes]) => [key, text(bytes)]));
    if (entry[ENTRY.key] === TABLE_KEY) return JSON.parse(entry[ENTRY.value]);
  }
  throw new Error("this file is no spiking network: it has no layer table");
}

/** The model with the float32 tensors `names` as further outputs. */
export function withOutputs(model, names) {
  const outputs = names.map((name) => message(GRAPH.output, valueInfo(name)));
  return joined([model, message(MODEL.graph, joined(outputs))]);
}

function valueInfo(name) {
  const tensor = joined([varint(INFO.elementType << 3 | VARINT), varint(FLOAT)]);
  const type = message(INFO.type, message(INFO.tensorType, tensor));
  return joined([message(INFO.name, new TextEncoder().encode(name)), type]);
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

function varint(value) {
  const groups = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) groups.push((value % 128) | 0x80);
  return new Uint8Array([...groups, value]);
}

function message(field, content) {
  return joined([varint(field << 3 | DELIMITED), varint(content.length), content]);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function text(bytes) {
  return new TextDecoder().decode(bytes);
}
