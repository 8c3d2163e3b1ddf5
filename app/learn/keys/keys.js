// Keys of the lesson, wherever the focus is, but for controls that use the same keys themselves. After a click with the
// pointer a control gives the focus back: who points with a hand has the arrows free for the lesson, who goes by Tab keeps
// them in the slider.
import { listenUntil } from "../../js/dom.js";
import { keepMounted } from "../../js/mount.js";

const WISHES = { ArrowRight: "next", ArrowLeft: "previous" };
/** In presenter mode nothing has to be scrolled or typed, and a presenter's remote sends these. */
const WISHES_PRESENTING = {
  ...WISHES,
  PageDown: "next",
  PageUp: "previous",
  Home: "first",
  End: "last",
  p: "leave",
  P: "leave",
  Escape: "leave",
};
const OWN = "input:not([type=checkbox]), textarea, select, canvas, [role=slider], [role=radio], [role=listbox], [role=option], [contenteditable]";

class Keys {
  constructor() {
    this.stopped = new AbortController();
    const on = listenUntil(this.stopped.signal);
    on(window, "keydown", (event) => this.onKey(event));
    on(window, "pointerup", () => setTimeout(release));
  }

  update({ step, presenting }, tell) {
    this.wishes = presenting ? WISHES_PRESENTING : WISHES;
    this.tell = tell;
    if (this.step !== undefined && this.step !== step) {
      document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0);
    }
    this.step = step;
  }

  onKey(event) {
    const wish = this.wishes?.[event.key];
    if (!wish || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && target.matches(OWN)) return;
    event.preventDefault();
    this.tell(wish);
  }

  destroy() {
    this.stopped.abort();
  }
}

/** Takes the focus from what was just clicked, unless one types into it. */
function release() {
  const focused = document.activeElement;
  if (focused?.matches("input[type=range], input[type=radio], input[type=checkbox], [role=slider], [role=radio], button")) focused.blur();
}

const mounted = keepMounted("i", () => new Keys());

export default function mount({ data, parentElement, setTriggerValue }) {
  return mounted(parentElement, (keys) => keys.update(data, (wish) => setTriggerValue("go", wish)));
}
