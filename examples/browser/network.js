// The spiking network in the browser: onnxruntime-web executes the file that `onnx2snn` wrote, as it is.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { layerTable, withOutputs } from "./snn_file.js";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need a page that is isolated from others; one digit takes a few milliseconds

/** A converted network, ready to run. */
export class SpikingNetwork {
  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
    const model = new Uint8Array(await answer.arrayBuffer());
    const table = layerTable(model);
    const trains = table.layers.map((layer) => layer.output);
    const session = await ort.InferenceSession.create(withOutputs(model, trains), {
      executionProviders: ["wasm"],
    });
    return new SpikingNetwork(session, table);
  }

  constructor(session, table) {
    this.session = session;
    this.timesteps = table.timesteps;
    this.layers = table.layers.map((layer) => ({ ...layer, ...mapsOf(layer.shape) }));
    this.input = session.inputNames[0];
    this.output = table.outputs[0];
  }

  /**
   * Present one picture.
   * @param {Float32Array} pixels 28 × 28, 0 to 1, row by row.
   * @returns {Promise<{potentials: Float32Array, trains: Float32Array[], milliseconds: number}>} The readouts' membrane
   *   potentials, and of each layer the spikes (0 or 1) of all neurons, time step after time step.
   */
  async run(pixels) {
    const start = performance.now();
    const feeds = { [this.input]: new ort.Tensor("float32", pixels, [1, 1, 28, 28]) };
    const results = await this.session.run(feeds);
    return {
      potentials: results[this.output].data,
      trains: this.layers.map((layer) => results[layer.output].data),
      milliseconds: performance.now() - start,
    };
  }
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
