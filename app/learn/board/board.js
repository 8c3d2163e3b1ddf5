// A picture cut into patches: points at them, joins them, reads a map, or lets one paint a map and pools the token that
// it makes. Python is told a painted map while the brush moves, at most every TELL_MS.
import { heatGradient } from "../../js/colors.js";
import { Shown, make, pressOne } from "../../js/dom.js";
import { formatWeight } from "../../js/format.js";
import { keepMounted } from "../../js/mount.js";

const TELL_MS = 250;
const OPACITY = 0.62;
const GAP = 0.16;
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function percent(share) {
  return formatWeight(share, true);
}

function clean(values) {
  const total = values.reduce((sum, value) => sum + value, 0);
  return total > 0 ? values.map((value) => value / total) : values.map(() => 0);
}

class Board {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector(".picture");
    this.readout = root.querySelector(".readout");
    this.strip = root.querySelector(".strip");
    this.image = new Image();
    this.image.addEventListener("load", () => this.draw());
    this.pointed = null;
    this.erasing = false;
    this.preset = null;
    this.weights = null;
    this.told = 0;
    this.shown = new Shown();
    this.listen();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.canvas.parentElement);
  }

  listen() {
    const { canvas, root } = this;
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // no focus: the arrows stay with the lesson
      this.point(event);
      if (this.data.mode !== "paint") return;
      canvas.setPointerCapture(event.pointerId);
      this.brush();
    });
    canvas.addEventListener("pointermove", (event) => {
      this.point(event);
      if (canvas.hasPointerCapture(event.pointerId)) this.brush();
    });
    canvas.addEventListener("pointerup", () => this.data.mode === "paint" && this.tell(true));
    canvas.addEventListener("pointerleave", () => {
      this.pointed = null;
      this.draw();
    });
    canvas.addEventListener("keydown", (event) => this.press(event));
    root.querySelector(".brush").addEventListener("click", (event) => {
      const { brush } = event.target.dataset;
      if (!brush) return;
      this.erasing = brush === "erase";
      this.draw();
    });
    root.querySelector(".presets").addEventListener("click", (event) => {
      if (event.target.dataset.preset) this.choose(event.target.dataset.preset, true);
    });
    root.querySelector(".clear").addEventListener("click", () => {
      this.preset = null;
      this.weights = this.weights.map(() => 0);
      this.draw();
      this.tell(true);
    });
  }

  update(data, send) {
    const before = this.data;
    this.data = data;
    this.send = send;
    this.root.dataset.mode = data.mode;
    this.canvas.setAttribute("aria-label", data.label);
    if (before?.heat !== data.heat) this.heat = bytes(data.heat);
    if (before?.features !== data.features) this.features = data.features ? new Int8Array(bytes(data.features).buffer) : null;
    if (before?.rows !== data.rows || before?.cols !== data.cols) this.pointed = null;
    if (data.mode === "paint") this.updatePaint();
    if (before?.picture !== data.picture) this.image.src = data.picture;
    else this.draw();
  }

  updatePaint() {
    const { presets, rows, cols } = this.data;
    const names = presets.map(({ name }) => name);
    if (this.shown.changes("presets", names)) {
      const place = this.root.querySelector(".presets");
      place.replaceChildren();
      for (const name of names) make("button", "", place, name).dataset.preset = name;
    }
    // A preset follows the picture; what was painted by hand stays.
    if (this.weights?.length !== rows * cols) this.choose(names[0], false);
    else if (names.includes(this.preset)) this.choose(this.preset, false);
  }

  choose(name, tell) {
    this.preset = name;
    this.weights = [...this.data.presets.find((preset) => preset.name === name).map];
    if (!tell) return;
    this.draw();
    this.tell(true);
  }

  point(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const { rows, cols } = this.data;
    const col = Math.floor(((event.clientX - bounds.left) / bounds.width) * cols);
    const row = Math.floor(((event.clientY - bounds.top) / bounds.height) * rows);
    const inside = row >= 0 && col >= 0 && row < rows && col < cols;
    this.pointed = inside ? [row, col] : null;
    this.draw();
  }

  press(event) {
    const move = MOVES[event.key];
    const { rows, cols, mode } = this.data;
    const [row, col] = this.pointed ?? [Math.floor(rows / 2), Math.floor(cols / 2)];
    if (move) {
      this.pointed = [Math.min(Math.max(row + move[0], 0), rows - 1), Math.min(Math.max(col + move[1], 0), cols - 1)];
    } else if (mode === "paint" && [" ", "Enter", "Delete", "Backspace"].includes(event.key)) {
      this.pointed = [row, col];
      this.brush(event.key === "Delete" || event.key === "Backspace");
      this.tell(true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  /** Paints the pointed patch and, more faintly, those around it. */
  brush(erase = this.erasing) {
    if (!this.pointed) return;
    const { rows, cols } = this.data;
    // From a preset on, the hand begins anew: its own strokes are of another size than learned weights.
    if (this.preset !== null && !erase) this.weights = this.weights.map(() => 0);
    if (this.preset !== null) {
      const largest = Math.max(...this.weights) || 1;
      this.weights = this.weights.map((value) => value / largest);
    }
    this.preset = null;
    const [row, col] = this.pointed;
    for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, rows - 1); r++) {
      for (let c = Math.max(col - 1, 0); c <= Math.min(col + 1, cols - 1); c++) {
        const near = r === row && c === col ? 1 : r === row || c === col ? 0.35 : 0.12;
        const at = r * cols + c;
        this.weights[at] = erase ? Math.min(this.weights[at], 1 - near) : Math.max(this.weights[at], near);
        if (erase && this.weights[at] < 0.001) this.weights[at] = 0;
      }
    }
    this.draw();
    this.tell(false);
  }

  tell(now) {
    clearTimeout(this.waiting);
    const wait = now ? 0 : Math.max(0, this.told + TELL_MS - performance.now());
    const act = () => {
      this.told = performance.now();
      this.send(this.preset === null ? { map: clean(this.weights).map((value) => Number(value.toFixed(6))) } : { preset: this.preset });
    };
    if (wait) this.waiting = setTimeout(act, wait);
    else act();
  }

  get shares() {
    if (this.data.mode === "paint") return clean(this.weights);
    return this.data.map;
  }

  draw() {
    const { data, canvas } = this;
    const width = canvas.parentElement.clientWidth;
    if (!data || !width || !this.image.naturalWidth) return;
    const height = Math.round((width * this.image.naturalHeight) / this.image.naturalWidth);
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.size = [width, height];
    this.drawPatches(pen);
    const { shares } = this;
    const top = data.mode === "paint" ? Math.max(...(shares ?? [0])) : data.top;
    if (shares) this.drawHeat(pen, shares, top);
    if (!data.apart) this.drawGrid(pen);
    for (const at of data.marked) this.outline(pen, Math.floor(at / data.cols), at % data.cols, "#fff", 2);
    if (this.pointed) {
      if (data.mode === "links") this.drawLinks(pen);
      this.outline(pen, ...this.pointed, "#fff", 3);
    }
    const words = this.words(shares, top);
    if (this.shown.changes("words", [words, this.data.heat])) this.say(words);
    this.syncTools();
    if (data.mode === "paint") this.drawToken(shares);
    canvas.dataset.drawn = "true";
  }

  /** Left, top, width and height of a patch on the canvas. */
  cell(row, col) {
    const [width, height] = this.size;
    const { rows, cols, apart } = this.data;
    const across = width / cols;
    const down = height / rows;
    const gap = apart ? GAP : 0;
    return [(col + gap / 2) * across, (row + gap / 2) * down, across * (1 - gap), down * (1 - gap)];
  }

  drawPatches(pen) {
    const { image } = this;
    const [width, height] = this.size;
    const { rows, cols, apart } = this.data;
    pen.imageSmoothingQuality = "high";
    if (!apart) {
      pen.drawImage(image, 0, 0, width, height);
      return;
    }
    const across = image.naturalWidth / cols;
    const down = image.naturalHeight / rows;
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        pen.drawImage(image, col * across, row * down, across, down, ...this.cell(row, col));
      }
    }
  }

  drawHeat(pen, shares, top) {
    const { cols } = this.data;
    pen.globalAlpha = OPACITY;
    shares.forEach((share, at) => {
      const level = Math.round(Math.min(top > 0 ? share / top : 0, 1) * 255) * 3;
      pen.fillStyle = `rgb(${this.heat[level]} ${this.heat[level + 1]} ${this.heat[level + 2]})`;
      pen.fillRect(...this.cell(Math.floor(at / cols), at % cols));
    });
    pen.globalAlpha = 1;
  }

  drawGrid(pen) {
    const [width, height] = this.size;
    const { rows, cols } = this.data;
    pen.lineWidth = 1;
    pen.strokeStyle = cols > 30 ? "rgb(255 255 255 / 0.28)" : "rgb(255 255 255 / 0.42)";
    pen.beginPath();
    for (let col = 1; col < cols; col++) {
      pen.moveTo((width * col) / cols, 0);
      pen.lineTo((width * col) / cols, height);
    }
    for (let row = 1; row < rows; row++) {
      pen.moveTo(0, (height * row) / rows);
      pen.lineTo(width, (height * row) / rows);
    }
    pen.stroke();
  }

  drawLinks(pen) {
    const { rows, cols } = this.data;
    const [x, y, across, down] = this.cell(...this.pointed);
    pen.lineWidth = 1;
    pen.strokeStyle = `rgb(255 225 90 / ${cols > 30 ? 0.22 : 0.5})`;
    pen.beginPath();
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        pen.moveTo(x + across / 2, y + down / 2);
        pen.lineTo((col + 0.5) * across, (row + 0.5) * down);
      }
    }
    pen.stroke();
  }

  outline(pen, row, col, color, width) {
    const [x, y, across, down] = this.cell(row, col);
    pen.lineWidth = width + 2;
    pen.strokeStyle = "rgb(0 0 0 / 0.7)";
    pen.strokeRect(x, y, across, down);
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.strokeRect(x, y, across, down);
  }

  /** The line under the picture; of a scale, what stands at its two ends. */
  words(shares, top) {
    const { rows, cols, mode } = this.data;
    const all = rows * cols;
    const at = this.pointed ? this.pointed[0] * cols + this.pointed[1] : null;
    const number = (value) => value.toLocaleString("en");
    if (mode === "patches") {
      if (at === null) return ["Point at a patch."];
      return [`Patch ${at + 1} of ${number(all)}: row ${this.pointed[0] + 1}, column ${this.pointed[1] + 1}.`];
    }
    if (mode === "links") {
      if (at === null) return ["Point at a patch to see what it is compared with."];
      return [`Patch ${at + 1} is compared with all ${number(all)} patches, itself included. So is every other one.`];
    }
    if (at !== null) return [`This patch: ${percent(shares[at])} of the token. An even share is ${percent(1 / all)}.`];
    if (!(top > 0)) return ["An empty map pools nothing. Paint on the picture."];
    const cut = shares.some((share) => share > top * 1.0001);
    return ["share of the token: 0", `${percent(top)}${cut ? " and more" : ""}`];
  }

  /** Prints the line; it is read aloud, so only where it changes. */
  say([first, end]) {
    this.readout.replaceChildren(first);
    if (end === undefined) return;
    make("i", "", this.readout).style.background = heatGradient(this.heat);
    this.readout.append(end);
  }

  syncTools() {
    const tools = this.root.querySelector(".tools");
    tools.hidden = this.data.mode !== "paint";
    pressOne(tools, "brush", this.erasing ? "erase" : "paint");
    pressOne(tools, "preset", this.preset);
  }

  /** Pools the features by the map and draws the token's numbers. */
  drawToken(shares) {
    const { dim, reach } = this.data;
    const place = this.root.querySelector(".token");
    place.hidden = !this.features;
    if (!this.features) return;
    const token = new Float64Array(dim);
    shares.forEach((share, at) => {
      if (share > 0) for (let d = 0; d < dim; d++) token[d] += share * this.features[at * dim + d];
    });
    this.token = token;
    place.querySelector("p").textContent = `The token that this map pools: ${dim} numbers.`;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.strip.clientWidth, this.strip.clientHeight];
    this.strip.width = Math.round(width * ratio);
    this.strip.height = Math.round(height * ratio);
    const pen = this.strip.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.root);
    pen.fillStyle = style.getPropertyValue("--accent");
    const step = width / dim;
    token.forEach((value, d) => {
      const long = Math.max(Math.min(value / reach, 1), -1) * (height / 2 - 2);
      pen.fillRect(d * step, height / 2 - Math.max(long, 0), Math.max(step * 0.8, 0.7), Math.max(Math.abs(long), 0.5));
    });
  }

  destroy() {
    clearTimeout(this.waiting);
    this.watcher.disconnect();
  }
}

const mounted = keepMounted(".board", (root) => new Board(root));

/** Called by Streamlit with each rerun; the board of an element lives on. */
export default function mount({ data, parentElement, setStateValue }) {
  return mounted(parentElement, (board) => board.update(data, (painted) => setStateValue("painted", painted)));
}
