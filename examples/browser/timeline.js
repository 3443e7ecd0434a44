// The bar chart of spikes over time, which is also the control of time.

import { spikesAt } from "./network.js";

/** One bar a time step, grouped by layer; `chosen(step)` is called with the step that a bar stands for. */
export class Timeline {
  constructor(element, layers, timesteps, chosen) {
    this.layers = layers;
    this.timesteps = timesteps;
    this.buttons = layers.flatMap((_, number) => {
      const phase = document.createElement("div");
      phase.className = "phase";
      phase.innerHTML = `<div class="bars"></div><div class="label">layer ${number + 1}</div>`;
      element.append(phase);
      return Array.from({ length: timesteps }, (_, t) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(document.createElement("i"));
        button.addEventListener("click", () => chosen(number * timesteps + t + 1));
        phase.firstChild.append(button);
        return button;
      });
    });
  }

  set(trains) {
    this.counts = trains.flatMap((train, l) =>
      Array.from({ length: this.timesteps }, (_, t) => spikesAt(train, this.layers[l].neurons, t)),
    );
    const highest = Math.max(1, ...this.counts);
    this.buttons.forEach((button, step) => {
      const count = this.counts[step].toLocaleString("en");
      button.firstChild.style.height = `${(100 * this.counts[step]) / highest}%`;
      button.title = `${count} spikes`;
      button.setAttribute("aria-label", `Step ${step + 1}: ${count} spikes`);
    });
  }

  show(step) {
    this.buttons.forEach((button, i) => {
      if (i === step - 1) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
  }
}
