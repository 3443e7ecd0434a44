// One layer of neurons as a picture: its maps side by side, a pixel a neuron.

import { levels, spikesAt } from "./network.js";

const GAP = 1; // pixels between maps
const DOT = 6; // pixels of a neuron that has no map

/** Draws a layer's spikes and levels, and tells the train of the neuron that is pointed at. */
export class LayerView {
  constructor(layer, number, timesteps) {
    this.layer = layer;
    this.timesteps = timesteps;
    this.dot = layer.height * layer.width > 1 ? 1 : DOT;
    this.high = layer.height * this.dot + GAP;
    this.wide = layer.width * this.dot + GAP;
    this.columns = columnsOf(layer.maps, this.high, this.wide);
    this.train = null;
    this.element = document.createElement("div");
    this.element.className = "layer";
    this.element.innerHTML = "<header><b></b><span></span></header><canvas></canvas><p></p>";
    [this.title, this.facts] = this.element.querySelectorAll("b, span");
    this.canvas = this.element.querySelector("canvas");
    this.word = this.element.querySelector("p");
    const { maps, height, width, neurons } = layer;
    const size = height * width > 1 ? `${maps} maps of ${height} × ${width}` : `${maps} neurons`;
    this.title.textContent = `Layer ${number}: ${size}`;
    this.facts.textContent = `${neurons.toLocaleString("en")} neurons`;
    this.canvas.width = this.columns * this.wide - GAP;
    this.canvas.height = Math.ceil(maps / this.columns) * this.high - GAP;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.title.textContent);
    this.canvas.addEventListener("pointermove", (event) => this.#tell(event));
    this.canvas.addEventListener("pointerleave", () => (this.word.textContent = ""));
  }

  set(train) {
    this.train = train;
    this.word.textContent = "";
    const { neurons } = this.layer;
    let total = 0;
    for (let t = 0; t < this.timesteps; t++) total += spikesAt(train, neurons, t);
    const mean = (total / neurons).toFixed(2);
    this.facts.textContent = `${total.toLocaleString("en")} spikes, ${mean} per neuron`;
  }

  /** Draw the state after `steps` of the layer's own time steps, the last of them lit if `now`. */
  draw(steps, now, colours) {
    this.element.classList.toggle("now", now);
    const { maps, height, width, neurons, levels: highest } = this.layer;
    const area = height * width;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const written = steps > 0 ? levels(this.train, neurons, this.timesteps, steps) : null;
    for (let map = 0; map < maps; map++) {
      const image = new ImageData(width * this.dot, height * this.dot);
      for (let i = 0; i < image.width * image.height; i++) {
        const neuron = map * area + (this.dot === 1 ? i : 0);
        const level = written === null ? 0 : written[neuron] / highest;
        const fires = now && this.train[(steps - 1) * neurons + neuron] > 0;
        const colour = fires ? colours.spike : mixed(colours.silent, colours.level, Math.sqrt(level));
        image.data.set([...colour, 255], 4 * i);
      }
      const [row, column] = [Math.floor(map / this.columns), map % this.columns];
      context.putImageData(image, column * this.wide, row * this.high);
    }
  }

  #tell(event) {
    if (this.train === null) return;
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height);
    const { maps, height, width, neurons, scale } = this.layer;
    const column = Math.floor((x % this.wide) / this.dot), row = Math.floor((y % this.high) / this.dot);
    const map = Math.floor(y / this.high) * this.columns + Math.floor(x / this.wide);
    if (map >= maps || column >= width || row >= height) return;
    const neuron = (map * height + row) * width + column;
    const spikes = Array.from({ length: this.timesteps }, (_, t) => this.train[t * neurons + neuron]);
    const level = spikes.reduce((sum, spike) => 2 * sum + spike, 0);
    const value = Array.isArray(scale) ? "" : ` × ${scale.toPrecision(3)} = ${(level * scale).toPrecision(3)}`;
    const place = height * width > 1 ? `map ${map + 1}, row ${row + 1}, column ${column + 1}` : `neuron ${map + 1}`;
    this.word.textContent = `${place}: ${spikes.map((s) => (s ? "●" : "·")).join(" ")} = ${level}${value}`;
  }
}

/** Maps in a row, such that the picture is about six times as wide as high. */
function columnsOf(maps, high, wide) {
  const wanted = Math.sqrt((6 * maps * high) / wide);
  const divisors = Array.from({ length: maps }, (_, i) => i + 1).filter((n) => maps % n === 0);
  return divisors.reduce((best, n) => (Math.abs(Math.log(n / wanted)) < Math.abs(Math.log(best / wanted)) ? n : best));
}

function mixed(from, to, share) {
  return from.map((value, i) => value + share * (to[i] - value));
}
