// The page: a digit goes in, the network answers, and time can be walked through.

import { DrawingPad, picture } from "./drawing_pad.js";
import { LayerView } from "./layer_view.js";
import { SpikingNetwork } from "./network.js";
import { Timeline } from "./timeline.js";

const STEP_MILLISECONDS = 220;
const PIXELS = 28 * 28;
const element = (id) => document.getElementById(id);

class Page {
  constructor(network) {
    this.network = network;
    this.steps = network.layers.length * network.timesteps;
    this.step = this.steps;
    this.result = null;
    this.timer = null;
    this.presented = 0; // how many pictures have been, or been cleared away
    this.pad = new DrawingPad(element("pad"), () => this.#drawn());
    this.timeline = new Timeline(element("timeline"), network.layers, network.timesteps, (step) => {
      this.pause();
      this.show(step);
    });
    this.views = network.layers.map((layer, i) => new LayerView(layer, i + 1, network.timesteps));
    element("layers").append(...this.views.map((view) => view.element));
    element("clear").addEventListener("click", () => this.clear());
    element("play").addEventListener("click", () => (this.timer === null ? this.play() : this.pause()));
    element("back").addEventListener("click", () => this.#walk(-1));
    element("forward").addEventListener("click", () => this.#walk(1));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show(this.step));
    document.querySelector("[data-fact=timesteps]").textContent = network.timesteps;
    this.clear();
  }

  clear() {
    this.presented++;
    this.pause();
    this.pad.clear();
    this.result = null;
    element("hint").hidden = false;
    element("answer").textContent = "–";
    element("potentials").replaceChildren(...bars(new Float32Array(10), -1));
    this.#choose(null);
    this.#enable(false);
    const silent = this.network.layers.map((layer) => new Float32Array(layer.neurons * this.network.timesteps));
    this.timeline.set(silent);
    this.views.forEach((view, i) => view.set(silent[i]));
    this.show(0);
    element("moment").textContent = "Draw a digit, or take one of the test set.";
  }

  /** Present `pixels` to the network and play what its neurons say. */
  async present(pixels) {
    const number = ++this.presented;
    this.pause();
    this.#enable(false);
    element("hint").hidden = true;
    const { potentials, milliseconds } = await this.network.answer(pixels);
    if (number !== this.presented) return; // another one has come meanwhile
    const best = potentials.indexOf(Math.max(...potentials));
    element("answer").textContent = best;
    element("potentials").replaceChildren(...bars(potentials, best));
    const result = await this.network.spikes(pixels);
    if (number !== this.presented) return;
    this.result = result;
    const { trains, milliseconds: step } = result;
    element("cost").textContent =
      "Bars: membrane potential of the ten readouts. " +
      `Answered here in ${milliseconds.toFixed(1)} ms, in one pass; a time step takes ${step.toFixed(1)} ms.`;
    this.timeline.set(trains);
    this.views.forEach((view, i) => view.set(trains[i]));
    this.#enable(true);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.show(this.steps);
    else this.play();
  }

  play() {
    if (this.step >= this.steps) this.show(0);
    element("play").textContent = "Pause";
    this.timer = setInterval(() => {
      this.show(this.step + 1);
      if (this.step >= this.steps) this.pause();
    }, STEP_MILLISECONDS);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    element("play").textContent = "Play";
  }

  /** Show the network after `step` time steps. */
  show(step) {
    this.step = step;
    const T = this.network.timesteps;
    const colours = theme();
    this.views.forEach((view, l) => {
      const own = Math.min(Math.max(step - l * T, 0), T);
      view.draw(own, step > l * T && step <= (l + 1) * T, colours);
    });
    this.timeline.show(step);
    element("moment").textContent = this.#words(step);
  }

  #words(step) {
    const T = this.network.timesteps;
    if (step === 0) return "The picture is a current into the first layer.";
    const layer = Math.floor((step - 1) / T), t = (step - 1) % T;
    const count = this.timeline.counts[step - 1].toLocaleString("en");
    const { neurons } = this.network.layers[layer];
    return `Step ${step} of ${this.steps}: layer ${layer + 1}, spikes worth ${2 ** (T - 1 - t)}: ` +
      `${count} of ${neurons.toLocaleString("en")} neurons`;
  }

  async #drawn() {
    this.#choose(null);
    const pixels = this.pad.pixels();
    if (pixels !== null) await this.present(pixels);
  }

  #walk(by) {
    this.pause();
    this.show(Math.min(Math.max(this.step + by, 0), this.steps));
  }

  #enable(on) {
    for (const id of ["play", "back", "forward"]) element(id).disabled = !on;
  }

  #choose(chosen) {
    for (const button of element("samples").children) button.setAttribute("aria-pressed", button === chosen);
  }

  /** Buttons with the digits of the test set. */
  offer(samples, labels) {
    const buttons = labels.map((label, i) => {
      const pixels = samples.slice(i * PIXELS, (i + 1) * PIXELS);
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Test digit ${i + 1}, a ${label}`);
      button.append(picture(pixels));
      button.addEventListener("click", async () => {
        this.pad.show(pixels);
        this.#choose(button);
        await this.present(pixels);
      });
      return button;
    });
    element("samples").replaceChildren(...buttons);
  }
}

/** A row for each potential: digit, bar from zero, number. */
function bars(potentials, best) {
  const low = Math.min(0, ...potentials), high = Math.max(0, ...potentials), span = high - low || 1;
  return Array.from(potentials, (value, digit) => {
    const row = document.createElement("div");
    row.className = digit === best ? "best" : "";
    row.innerHTML = `<span>${digit}</span><span class="track"><i></i></span><span></span>`;
    const bar = row.querySelector("i");
    bar.style.left = `${(100 * (Math.min(value, 0) - low)) / span}%`;
    bar.style.width = `${(100 * Math.abs(value)) / span}%`;
    row.lastChild.textContent = best < 0 ? "" : value.toFixed(1);
    return row;
  });
}

/** The page's colours as [red, green, blue]. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  return { silent: colour("--silent"), level: colour("--level"), spike: colour("--spike") };
}

async function main() {
  const [network, samples, labels] = await Promise.all([
    SpikingNetwork.load("digits"),
    fetch("samples.bin").then((answer) => answer.arrayBuffer()),
    fetch("labels.json").then((answer) => answer.json()),
  ]);
  await network.answer(new Float32Array(PIXELS)); // the first run of a session prepares it
  await network.spikes(new Float32Array(PIXELS));
  const page = new Page(network);
  page.offer(new Float32Array(samples), labels);
  document.documentElement.dataset.ready = "true";
}

main().catch((error) => {
  element("moment").textContent = error.message;
  throw error;
});
