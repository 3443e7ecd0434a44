// One compiled file in onnxruntime-web (WebAssembly), as run_in.py does it elsewhere: node run_in.mjs NODE_MODULES JOB.json

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

const [modules, path] = process.argv.slice(2);
const ort = createRequire(join(modules, "x.js"))("onnxruntime-web");
const TYPES = {
  float32: ["float32", Float32Array], float64: ["float64", Float64Array], int64: ["int64", BigInt64Array],
  bool: ["bool", Uint8Array],
};

/** Arrays of an .npz by name: {data, shape}. */
function load(file) {
  const bytes = readFileSync(file), found = {};
  let at = bytes.length - 22; // the end record; entries before it
  const count = bytes.readUInt16LE(at + 10);
  for (let i = 0, entry = bytes.readUInt32LE(at + 16); i < count; i++) {
    const [size, name] = [bytes.readUInt32LE(entry + 20), bytes.readUInt16LE(entry + 28)];
    const local = bytes.readUInt32LE(entry + 42);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const raw = bytes.subarray(start, start + size);
    const npy = bytes.readUInt16LE(entry + 10) === 8 ? inflateRawSync(raw) : raw;
    const key = bytes.toString("utf8", entry + 46, entry + 46 + name).replace(/\.npy$/, "");
    const header = npy.toString("latin1", 10, 10 + npy.readUInt16LE(8));
    const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((s) => s.trim()).map(Number);
    const kind = { "<f4": Float32Array, "<f8": Float64Array, "<i8": BigInt64Array }[header.match(/'descr': '([^']*)'/)[1]];
    const body = Uint8Array.prototype.slice.call(npy, 10 + npy.readUInt16LE(8));
    found[key] = { data: new kind(body.buffer, 0, body.length / kind.BYTES_PER_ELEMENT), shape };
    entry += 46 + name + bytes.readUInt16LE(entry + 30) + bytes.readUInt16LE(entry + 32);
  }
  return found;
}

const tensor = (kind, shape, data) => new ort.Tensor(TYPES[kind][0], data ?? new TYPES[kind][1](shape.reduce((a, b) => a * b, 1)), shape);

async function answer(session, job, sample) {
  if (job.states.length === 0) return session.run(sample);
  let state = Object.fromEntries(job.inputs.filter(([name]) => job.states.includes(name)).map(([n, s, k]) => [n, tensor(k, s)]));
  for (;;) {
    const enters = tensor("bool", [], new Uint8Array([state.time.data[0] === 0n ? 1 : 0]));
    const found = await session.run({ ...sample, enters, ...state });
    state = Object.fromEntries(job.states.map((name) => [name, found["next/" + name]]));
    if (found.answered.data[0]) return found;
  }
}

ort.env.wasm.numThreads = 1;
const job = JSON.parse(readFileSync(path, "utf8"));
const session = await ort.InferenceSession.create(job.model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
const samples = load(job.samples), expected = load(job.expected), worst = { answers: 0, spikes: 0 };
const count = Object.values(samples)[0].shape[0];
let ms = Infinity;
for (let number = 0; number < count; number++) {
  const sample = Object.fromEntries(Object.entries(samples).map(([name, { data, shape }]) => {
    const size = data.length / count;
    return [name, new ort.Tensor("float32", data.slice(number * size, (number + 1) * size), [1, ...shape.slice(1)])];
  }));
  const began = performance.now();
  const found = await answer(session, job, sample);
  ms = Math.min(ms, performance.now() - began);
  for (const [name, { data }] of Object.entries(expected)) {
    const size = data.length / count, wanted = Array.from(data.slice(number * size, (number + 1) * size), Number);
    let values = Array.from(found[name].data, Number);
    if (job.trains.includes(name)) values = [values.reduce((a, b) => a + b, 0)];
    const kind = job.trains.includes(name) || name.startsWith("spikes/") ? "spikes" : "answers";
    values.forEach((value, i) => { worst[kind] = Math.max(worst[kind], Math.abs(value - wanted[i])); });
  }
}
console.log(JSON.stringify({ ...worst, ms }));
process.exit(0);
