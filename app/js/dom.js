// Elements and listeners, as every component of the page makes them. Text by textContent.

const SVG_NAMES = "http://www.w3.org/2000/svg";

/** A new element; the text and the parent are optional. */
export function make(tag, className = "", parent = null, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

/** A new element of a drawing. */
export function drawn(tag, attributes = {}) {
  const made = document.createElementNS(SVG_NAMES, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A drawing of 1000 by 100 that fills its place, whatever its shape; `label` is what it says to those who do not see it. */
export function plot(label = null) {
  const shown = label === null ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  return drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", ...shown });
}

/** Listens to several events of a target, until a signal says that it is over. */
export function listenUntil(signal) {
  return (target, types, act) => {
    for (const type of types.split(" ")) target.addEventListener(type, act, { signal });
  };
}

export function press(button, pressed) {
  button.setAttribute("aria-pressed", String(Boolean(pressed)));
}

/** Of the buttons within `root`, presses the one whose data has this value. */
export function pressOne(root, name, value) {
  for (const button of root.querySelectorAll("button")) if (name in button.dataset) press(button, button.dataset[name] === value);
}

/** What was shown before, by name: elements that have the focus, or that one reads, are not made anew for the same. */
export class Shown {
  constructor() {
    this.texts = new Map();
  }

  /** Whether what `name` stands for differs from the last time; `value` is anything that can be written as JSON. */
  changes(name, value) {
    const text = JSON.stringify(value);
    if (this.texts.get(name) === text) return false;
    this.texts.set(name, text);
    return true;
  }
}
