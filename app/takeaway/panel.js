// Files and a link of what the player shows. Asks the player for its view by "token-player-ask" only when it is needed,
// keeps the page's address in step with it, and brings a link's view back. All text by textContent.
import { copyLink, linkTo, showLink } from "../js/address.js";
import { Shown, listenUntil, make } from "../js/dom.js";
import { askPlayer, tellPage } from "../js/follow.js";
import { keepMounted } from "../js/mount.js";

const LOOK_MS = 600;
const PLAYING_MS = 2500;
const NO_TOKENS = "0";
const USUAL = { view: "some", base: "some", opacity: 0.7, smooth: true, scale: "fixed", trails: false, hidden: false, divider: 0.5 };

/** Views that were brought back on this page: a rerun must not do it again. */
const restored = new Set();

/** What the player says about its view in a link; numbers of tokens as people read them, from 1. */
function viewParameters(view, allTokens) {
  const said = {};
  if (view.time_s > 0) said.t = String(Math.round(view.time_s * 1000) / 1000);
  for (const name of ["view", "scale"]) if (view[name] !== USUAL[name]) said[name] = view[name];
  if (view.view === "beside" && view.base !== USUAL.base) said.base = view.base;
  if (view.tokens.length !== allTokens) said.tokens = view.tokens.map((id) => id + 1).join(".") || NO_TOKENS;
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
    this.shown = new Shown();
    const on = listenUntil(this.stopped.signal);
    on(root, "click", (event) => {
      const button = event.composedPath().find((node) => node.matches?.("button"));
      if (button?.dataset.kind) this.order(button.dataset.kind);
      else if (button?.dataset.act === "copy") this.copy();
    });
    on(this.find("input"), "focus", (event) => event.target.select());
    on(window, "token-player-ready", (event) => event.detail.key === this.data?.player && this.restore());
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  update(data, trigger) {
    this.data = data;
    this.trigger = trigger;
    if (this.shown.changes("kinds", data.kinds)) this.makeKinds();
    // Said to be out of use rather than disabled: a disabled button would lose the focus of who pressed it.
    for (const button of this.find(".kinds").children) button.setAttribute("aria-disabled", String(data.busy));
    this.find(".needs").hidden = !data.needs;
    this.find(".needs").textContent = data.needs;
    this.restore();
    this.look();
  }

  makeKinds() {
    this.find(".kinds").replaceChildren(
      ...this.data.kinds.map(({ name, help, label, format }) => {
        const button = make("button");
        button.dataset.kind = name;
        button.title = help;
        make("b", "", button, label);
        make("small", "", button, format);
        return button;
      }),
    );
  }

  restore() {
    const { player, restore: wish } = this.data;
    if (!wish || restored.has(wish.id) || !askPlayer(player).view) return;
    restored.add(wish.id);
    tellPage("token-player-restore", { key: player, view: wish.view });
  }

  /** The link to what is on the screen, and whether that is playing. */
  link() {
    const { view, playing } = askPlayer(this.data.player);
    const said = { ...this.data.parameters, ...(view ? viewParameters(view, this.data.tokens) : {}) };
    return { href: linkTo(said), playing: Boolean(playing) };
  }

  /** Keeps the address and the field in step; while the clip plays, only now and then. */
  look() {
    if (!this.data || !this.root.isConnected) return;
    const { href, playing } = this.link();
    const now = performance.now();
    if (href === this.address || (playing && now - this.changed < PLAYING_MS)) return;
    this.address = href;
    this.changed = now;
    this.find("input").value = href;
    showLink(href);
  }

  /** Asks for a file of what is on the screen. */
  order(kind) {
    const { view } = askPlayer(this.data.player);
    if (view && !this.data.busy) this.trigger("make", { kind, view });
  }

  async copy() {
    const { href } = this.link();
    const field = this.find("input");
    const button = this.find('[data-act="copy"]');
    field.value = href;
    const done = await copyLink(href);
    if (!done) field.focus(); // which selects it, to be copied by hand
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
