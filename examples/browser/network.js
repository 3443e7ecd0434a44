// The spiking network in the browser: onnxruntime-web executes two files that `onnx2snn compile` wrote. `fused` answers in one
// pass; `step` is one time step a call, and shows the spikes.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { described } from "./snn_file.js";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need a page that is isolated from others; one digit takes a few milliseconds

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, bool: Uint8Array,
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array, int64: BigInt64Array,
};

/** A compiled network, ready to run. */
export class SpikingNetwork {
  /** @param {string} name Of its files: NAME_fused.onnx and NAME_step.onnx, for one sample at a time. */
  static async load(name) {
    const [fused, step] = await Promise.all(["fused", "step"].map((form) => bytesOf(`${name}_${form}.onnx`)));
    const create = (model) => ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return new SpikingNetwork(await create(fused), await create(step), described(step));
  }

  constructor(fused, step, { table, facts }) {
    this.fused = fused;
    this.step = step;
    this.facts = facts;
    this.timesteps = table.timesteps;
    this.layers = table.layers.map((layer) => ({ ...layer, ...mapsOf(layer.shape) }));
    [this.input] = fused.inputMetadata; // name, type and shape
    this.output = table.outputs[0];
  }

  /**
   * What the network answers to one picture.
   * @param {Float32Array} pixels As many as its input has, 0 to 1, row by row.
   * @returns {Promise<{potentials: Float32Array, milliseconds: number}>} The readouts' membrane potentials.
   */
  async answer(pixels) {
    const start = performance.now();
    const results = await this.fused.run(this.#feeds(pixels));
    return { potentials: results[this.output].data, milliseconds: performance.now() - start };
  }

  /**
   * How it comes to that, time step by time step.
   * @param {Float32Array} pixels As above.
   * @returns {Promise<{potentials: Float32Array, trains: Uint8Array[], milliseconds: number}>} The potentials when they leave,
   *   of each layer the spikes (0 or 1) of all neurons, time step after time step, and the milliseconds of one step.
   */
  async spikes(pixels) {
    const { depth, states, stages } = this.facts, T = this.timesteps, steps = (depth + 1) * T;
    const trains = this.layers.map((layer) => new Uint8Array(T * layer.neurons));
    let found, state = Object.fromEntries(this.step.inputMetadata.filter(({ name }) => states.includes(name)).map(atRest));
    const start = performance.now();
    for (let time = 0; time < steps; time++) {
      const enters = new ort.Tensor("bool", [time === 0], []);
      found = await this.step.run({ ...this.#feeds(pixels), enters, ...state });
      state = Object.fromEntries(states.map((name) => [name, found[`next/${name}`]]));
      this.layers.forEach(({ name, neurons }, i) => {
        const t = time - stages[name] * T; // of the layer's own phase
        if (t >= 0 && t < T) trains[i].set(found[`train/${name}`].data, t * neurons);
      });
    }
    const milliseconds = (performance.now() - start) / steps;
    return { potentials: found[this.output].data, trains, milliseconds };
  }

  #feeds(pixels) {
    const { name, type, shape } = this.input;
    return { [name]: new ort.Tensor(type, read(pixels, type), shape) };
  }
}

/** Pixels of 0 to 1 as an input of `type` reads them: as they are, or, integers, as 0 to 255 (int8: −128 to 127). */
function read(pixels, type) {
  if (type.startsWith("float")) return ARRAYS[type].from(pixels);
  return ARRAYS[type].from(pixels, (value) => Math.round(255 * value) - (type === "int8" ? 128 : 0));
}

async function bytesOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** A state of an empty network: zeros. */
function atRest({ name, type, shape }) {
  const values = new ARRAYS[type](shape.reduce((size, axis) => size * axis, 1));
  return [name, new ort.Tensor(type, values, shape)];
}

/** The level k = Σ 2^(T−1−t)·s(t) of every neuron of a train, from its first `steps` time steps. */
export function levels(train, neurons, timesteps, steps = timesteps) {
  const found = new Uint16Array(neurons);
  for (let t = 0; t < steps; t++) {
    const weight = 2 ** (timesteps - 1 - t);
    for (let i = 0; i < neurons; i++) found[i] += weight * train[t * neurons + i];
  }
  return found;
}

/** How many neurons spike in time step `t`. */
export function spikesAt(train, neurons, t) {
  let count = 0;
  for (let i = t * neurons; i < (t + 1) * neurons; i++) count += train[i];
  return count;
}

/** (channels, height, width) of a layer; one neuron a map where it has no picture. */
function mapsOf(shape) {
  const [maps, height = 1, width = 1] = shape;
  return { maps, height, width };
}
