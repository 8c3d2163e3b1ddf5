// A mixing desk: M leaves a token out, S leaves all others out. What is pressed shows at once; the network follows.
import { wear } from "../js/colors.js";
import { Shown, drawn, listenUntil, make, plot, press } from "../js/dom.js";
import { keepMounted } from "../js/mount.js";

export class Desk {
  constructor(root) {
    this.root = root;
    this.muted = new Set();
    this.solo = new Set();
    this.version = 0;
    this.tell = () => {};
    this.shown = new Shown();
    this.stopped = new AbortController();
    listenUntil(this.stopped.signal)(root, "click", (event) => this.onClick(event.target));
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
    const looks = data.tokens.map(({ number, name, color }) => [number, name, color]);
    if (this.shown.changes("tokens", looks)) {
      this.strips = data.tokens.map(makeStrip);
      this.root.querySelector(".strips").replaceChildren(...this.strips.map(({ root }) => root));
    }
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
      press(m, this.muted.has(token));
      press(s, this.solo.has(token));
      root.toggleAttribute("data-out", this.muted.has(token) || (this.solo.size > 0 && !this.solo.has(token)));
    });
    this.root.querySelector(".reset").hidden = !this.muted.size && !this.solo.size;
  }

  destroy() {
    this.stopped.abort();
  }
}

function makeStrip(token, index) {
  const root = make("div", "strip");
  wear(make("b", "number", root, String(token.number)), token.color);
  const svg = plot();
  const line = drawn("polyline");
  const title = drawn("title");
  title.textContent = `${token.name}: its largest weight over the clip`;
  svg.append(title, line);
  root.append(svg);
  const worth = make("span", "worth", root);
  const [m, s] = ["m", "s"].map((kind) => {
    const button = make("button", kind, root, kind.toUpperCase());
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
