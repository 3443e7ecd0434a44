// A square to draw on, and its picture as the network was trained to see pictures.

const SIDE = 28, BOX = 20, STROKE = 0.075;

/** Lets people draw with mouse, pen or finger; calls `changed` after each stroke. */
export class DrawingPad {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.changed = changed;
    this.last = null;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#draw(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#end());
    this.clear();
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Show a picture of 28 × 28 pixels, 0 to 1. */
  show(pixels) {
    this.clear();
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(picture(pixels), 0, 0, this.canvas.width, this.canvas.height);
  }

  /**
   * What is drawn, as the MNIST digits are: scaled into a box of 20 × 20 pixels, its centre of mass in the middle of
   * 28 × 28. Null where nothing is drawn.
   */
  pixels() {
    const { width, height } = this.canvas;
    const ink = this.context.getImageData(0, 0, width, height).data.filter((_, i) => i % 4 === 0);
    const bounds = boundsOf(ink, width);
    if (bounds === null) return null;
    const scale = BOX / Math.max(bounds.width, bounds.height);
    return scaled(this.canvas, scale, centreOfMass(ink, width));
  }

  #begin(event) {
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.#place(event);
    this.#draw(event);
  }

  #draw(event) {
    if (this.last === null) return;
    const strokes = event.getCoalescedEvents?.() ?? [];
    for (const each of strokes.length ? strokes : [event]) {
      const [x, y] = this.#place(each);
      const pen = this.context;
      pen.strokeStyle = "#fff";
      pen.lineWidth = STROKE * this.canvas.width;
      pen.lineCap = pen.lineJoin = "round";
      pen.beginPath();
      pen.moveTo(...this.last);
      pen.lineTo(x + 0.01, y); // a tap leaves a dot
      pen.stroke();
      this.last = [x, y];
    }
  }

  #end() {
    if (this.last === null) return;
    this.last = null;
    this.changed();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }
}

/** A canvas of 28 × 28 pixels, 0 to 1, in shades of grey. */
export function picture(pixels) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((value, i) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function boundsOf(ink, width) {
  let left = Infinity, right = -1, top = Infinity, bottom = -1;
  ink.forEach((value, i) => {
    if (value < 32) return;
    const x = i % width, y = Math.floor(i / width);
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  });
  return right < 0 ? null : { width: right - left + 1, height: bottom - top + 1 };
}

function centreOfMass(ink, width) {
  let mass = 0, x = 0, y = 0;
  ink.forEach((value, i) => {
    mass += value;
    x += value * ((i % width) + 0.5);
    y += value * (Math.floor(i / width) + 0.5);
  });
  return [x / mass, y / mass];
}

/** `canvas` made smaller by area, its point `centre` in the middle. */
function scaled(canvas, scale, [x, y]) {
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  const context = small.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.setTransform(scale, 0, 0, scale, SIDE / 2 - x * scale, SIDE / 2 - y * scale);
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i] / 255);
}
