// Files and a link of what the player shows. Asks the player for its view by "token-player-ask" only when it is needed,
// keeps the page's address in step with it, and brings a link's view back. All text by textContent.

import { keepMounted } from "../js/mount.js";

const LOOK_MS = 600;
const PLAYING_MS = 2500;
const USUAL = { view: "some", base: "some", opacity: 0.7, smooth: true, scale: "fixed", trails: false, hidden: false, divider: 0.5 };

/** Views that were brought back on this page: a rerun must not do it again. */
const restored = new Set();

/** What the player says about its view in a link; numbers of tokens as people read them, from 1. */
function viewParameters(view, allTokens) {
  const said = {};
  if (view.time_s > 0) said.t = String(Math.round(view.time_s * 1000) / 1000);
  for (const name of ["view", "scale"]) if (view[name] !== USUAL[name]) said[name] = view[name];
  if (view.view === "beside" && view.base !== USUAL.base) said.base = view.base;
  if (view.tokens.length && view.tokens.length !== allTokens) said.tokens = view.tokens.map((id) => id + 1).join(".");
  if (view.pin) said.pin = view.pin.map((share) => share.toFixed(4)).join("_");
  if (view.opacity !== USUAL.opacity) said.opacity = String(view.opacity);
  if (!view.smooth) said.smooth = "0";
  for (const name of ["trails", "hidden"]) if (view[name]) said[name] = "1";
  if (view.view === "beside" && view.divider !== USUAL.divider) said.divider = view.divider.toFixed(3);
  return said;
}

class Takeaway {
  constructor(root) {
    this.root = root;
    this.data = null;
    this.address = "";
    this.changed = 0;
    this.stopped = new AbortController();
    this.find = (selector) => root.querySelector(selector);
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.stopped.signal });
    on(root, "click", (event) => {
      const button = event.composedPath().find((node) => node.matches?.("button"));
      if (button?.dataset.kind) this.make(button.dataset.kind);
      else if (button?.dataset.act === "copy") this.copy();
    });
    on(this.find("input"), "focus", (event) => event.target.select());
    on(window, "token-player-ready", (event) => event.detail.key === this.data?.player && this.restore());
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  update(data, trigger) {
    this.data = data;
    this.trigger = trigger;
    const buttons = data.kinds.map((kind) => {
      const button = document.createElement("button");
      button.dataset.kind = kind.name;
      button.title = kind.help;
      button.disabled = data.busy;
      const label = document.createElement("b");
      label.textContent = kind.label;
      const ending = document.createElement("small");
      ending.textContent = kind.format;
      button.append(label, ending);
      return button;
    });
    this.find(".kinds").replaceChildren(...buttons);
    this.find(".needs").hidden = !data.needs;
    this.find(".needs").textContent = data.needs;
    this.restore();
    this.look();
  }

  /** The player's view and whether it plays; null while there is no player. */
  ask() {
    const detail = { key: this.data.player };
    window.dispatchEvent(new CustomEvent("token-player-ask", { detail }));
    return detail.view ? detail : null;
  }

  restore() {
    const wish = this.data.restore;
    if (!wish || restored.has(wish.id) || !this.ask()) return;
    restored.add(wish.id);
    window.dispatchEvent(new CustomEvent("token-player-restore", { detail: { key: this.data.player, view: wish.view } }));
  }

  /** The link to what is on the screen. */
  link() {
    const asked = this.ask();
    const said = { ...this.data.parameters, ...(asked ? viewParameters(asked.view, this.data.tokens) : {}) };
    const url = new URL(window.location.href);
    url.search = new URLSearchParams(said).toString();
    url.hash = "";
    return { url, playing: Boolean(asked?.playing) };
  }

  /** Keeps the address and the field in step; while the clip plays, only now and then. */
  look() {
    if (!this.data || !this.root.isConnected) return;
    const { url, playing } = this.link();
    const now = performance.now();
    if (url.href === this.address || (playing && now - this.changed < PLAYING_MS)) return;
    this.address = url.href;
    this.changed = now;
    this.find("input").value = url.href;
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  }

  make(kind) {
    const asked = this.ask();
    if (asked) this.trigger("make", { kind, view: asked.view });
  }

  async copy() {
    const { url } = this.link();
    const field = this.find("input");
    const button = this.find('[data-act="copy"]');
    field.value = url.href;
    let done = false;
    try {
      await navigator.clipboard.writeText(url.href);
      done = true;
    } catch {
      // Without a secure connection there is no clipboard: the field is selected, to be copied by hand.
      field.focus();
      field.select();
    }
    const words = done ? "Link copied" : "Press Ctrl+C";
    button.textContent = words;
    this.find(".live").textContent = words;
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  }

  destroy() {
    this.stopped.abort();
    clearInterval(this.timer);
  }
}

const mounted = keepMounted(".takeaway", (root) => new Takeaway(root));

/** Called by Streamlit with each rerun; the area of an element lives on. */
export default function mount({ data, parentElement, setTriggerValue }) {
  return mounted(parentElement, (area) => area.update(data, setTriggerValue));
}
