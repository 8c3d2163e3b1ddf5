// A mixing desk: M leaves a token out, S leaves all others out. What is pressed shows at once; the network follows.

import { readable } from "../js/ink.js";
import { keepMounted } from "../js/mount.js";

const SVG = "http://www.w3.org/2000/svg";

export class Desk {
  constructor(root) {
    this.root = root;
    this.muted = new Set();
    this.solo = new Set();
    this.version = 0;
    this.tell = () => {};
    this.stopped = new AbortController();
    const options = { signal: this.stopped.signal };
    root.addEventListener("click", (event) => this.onClick(event.target), options);
  }

  update(data) {
    const other = data.tokens.length !== this.count;
    this.count = data.tokens.length;
    // While presses are on their way, an answer to an earlier one does not take them back.
    if (other || data.version >= this.version) {
      this.muted = new Set(data.muted);
      this.solo = new Set(data.solo);
      this.version = data.version;
    }
    const place = this.root.querySelector(".strips");
    if (other) this.strips = data.tokens.map((token, index) => strip(token, index));
    if (other) place.replaceChildren(...this.strips.map(({ root }) => root));
    data.tokens.forEach((token, index) => {
      const { line, worth } = this.strips[index];
      const step = 1000 / Math.max(1, token.course.length - 1);
      const course = token.course.length > 1 ? token.course : [];
      line.setAttribute("points", course.map((value, i) => `${(i * step).toFixed(1)},${96 - value * 0.92}`).join(" "));
      worth.textContent = token.worth_text;
      worth.title = data.worth_words;
    });
    const buttons = [...this.strips.flatMap(({ m, s }) => [m, s]), this.root.querySelector(".reset")];
    for (const button of buttons) button.disabled = Boolean(data.waiting);
    this.draw();
  }

  onClick(target) {
    if (target.classList.contains("reset")) {
      this.muted.clear();
      this.solo.clear();
    } else if (target.dataset.kind) {
      const chosen = target.dataset.kind === "m" ? this.muted : this.solo;
      const token = Number(target.dataset.token);
      if (!chosen.delete(token)) chosen.add(token);
    } else {
      return;
    }
    this.version += 1;
    this.draw();
    const sorted = (tokens) => [...tokens].sort((a, b) => a - b);
    this.tell({ of: this.count, muted: sorted(this.muted), solo: sorted(this.solo), version: this.version });
  }

  draw() {
    this.strips.forEach(({ root, m, s }, token) => {
      m.setAttribute("aria-pressed", String(this.muted.has(token)));
      s.setAttribute("aria-pressed", String(this.solo.has(token)));
      root.toggleAttribute("data-out", this.muted.has(token) || (this.solo.size > 0 && !this.solo.has(token)));
    });
    this.root.querySelector(".reset").hidden = !this.muted.size && !this.solo.size;
  }

  destroy() {
    this.stopped.abort();
  }
}

function strip(token, index) {
  const root = document.createElement("div");
  root.className = "strip";
  const add = (tag, className) => {
    const made = document.createElement(tag);
    made.className = className;
    root.append(made);
    return made;
  };
  const number = add("b", "number");
  number.textContent = String(token.number);
  number.style.background = token.color;
  number.style.color = readable(token.color);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  const title = document.createElementNS(SVG, "title");
  title.textContent = `${token.name}: its largest weight over the clip`;
  svg.append(title, line);
  root.append(svg);
  const worth = add("span", "worth");
  const [m, s] = ["m", "s"].map((kind) => {
    const button = add("button", kind);
    button.textContent = kind.toUpperCase();
    button.dataset.kind = kind;
    button.dataset.token = String(index);
    const words = kind === "m" ? `Mute ${token.name}: leave it out` : `Solo ${token.name}: leave all others out`;
    button.title = words;
    button.setAttribute("aria-label", words);
    return button;
  });
  return { root, line, worth, m, s };
}

const mounted = keepMounted(".desk", (root) => new Desk(root));

/** Called by Streamlit with each rerun; the desk of an element lives on. */
export default function mount({ data, parentElement, setStateValue }) {
  return mounted(parentElement, (desk) => {
    desk.tell = (state) => setStateValue("desk", state);
    desk.update(data);
  });
}
