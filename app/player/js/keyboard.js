// Every control by key. The help lists this table, so that it cannot fall behind.

const VIEW_KEYS = { o: "one", s: "some", w: "owner", g: "grid", b: "beside" };

/** `clip`: needs a clip, not a still. `maps`: needs token maps. */
const TABLE = [
  { show: "Space, K", does: "play or pause", keys: [" ", "k"], clip: true, act: (p) => p.clock.toggle() },
  { show: "← →", does: "previous, next analysed frame", keys: ["ArrowLeft", "ArrowRight"], act: arrow },
  { show: "J, L", does: "one second back, forward", keys: ["j", "l"], clip: true, act: (p, key) => p.skip(key === "j" ? -1 : 1) },
  { show: "Home, End", does: "first, last analysed frame", keys: ["Home", "End"], clip: true, act: (p, key) => p.goToEnd(key === "End") },
  { show: "< >", does: "slower, faster", keys: ["<", ">"], clip: true, act: (p, key) => p.clock.changeSpeed(key === "<" ? -1 : 1) },
  { show: "R", does: "loop on or off", keys: ["r"], clip: true, act: (p) => p.clock.setLoop(!p.clock.loops) },
  {
    show: "O S W G B",
    does: "view: one, several, owner (who), grid, beside",
    keys: Object.keys(VIEW_KEYS),
    maps: true,
    act: (p, key) => p.setView(VIEW_KEYS[key]),
  },
  { show: "1 – 9, 0", does: "token 1 to 9, 10; with Shift 11 to 20", keys: [], digits: true, maps: true, act: (p, number) => p.pickNumber(number) },
  { show: "↑ ↓", does: "previous, next token", keys: ["ArrowUp", "ArrowDown"], maps: true, act: arrow },
  { show: "A", does: "choose all tokens, or none", keys: ["a"], maps: true, act: (p) => p.chooseAll(!p.selection.hasAll) },
  { show: "− +", does: "opacity", keys: ["-", "+", "="], maps: true, act: (p, key) => p.changeOpacity(key === "-" ? -0.05 : 0.05) },
  { show: "N", does: "smooth, or patches as they are", keys: ["n"], maps: true, act: (p) => p.set({ smooth: !p.state.smooth }) },
  { show: "M", does: "scale: fixed, to the largest, each token", keys: ["m"], maps: true, act: (p) => p.nextScale() },
  { show: "H", does: "hide or show the maps", keys: ["h"], maps: true, act: (p) => p.set({ hidden: !p.state.hidden }) },
  { show: "T", does: "trails: where the tokens came from", keys: ["t"], maps: true, clip: true, act: (p) => p.set({ trails: !p.state.trails }) },
  { show: "D, Shift+D", does: "move the divider right, left", keys: ["d", "D"], maps: true, act: (p, key) => p.moveDivider(key === "d" ? 0.05 : -0.05) },
  { show: "P", does: "point with the arrow keys", keys: ["p"], maps: true, act: (p) => p.point() },
  { show: "Enter", does: "pin the pointed place, or unpin it", keys: ["Enter"], maps: true, act: (p) => p.pinProbe() },
  { show: "Esc", does: "stop pointing, remove the pin, close this help", keys: ["Escape"], act: (p) => p.escape() },
  { show: "F", does: "full screen", keys: ["f"], act: (p) => p.toggleFull() },
  { show: "?", does: "this help", keys: ["?"], act: (p) => p.toggleHelp() },
];

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Arrows move the pointed place while pointing; else frames sideways and tokens up and down. */
function arrow(player, key) {
  const [down, right] = MOVES[key];
  if (player.places.pointing) player.moveProbe(down, right);
  else if (right) player.stepBy(right);
  else player.nextToken(down);
}

/** The rows of the help: [key, what it does]. */
export function helpRows() {
  return TABLE.map((entry) => [entry.show, entry.does]);
}

/** Acts on a key pressed within the player; keys it does not know go on to the page. */
export function handleKey(player, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || leaveAlone(event)) return;
  const key = event.key.length === 1 && event.key !== "D" ? event.key.toLowerCase() : event.key;
  const number = numberOf(event);
  const entry = TABLE.find((row) => row.keys.includes(key)) ?? TABLE.find((row) => row.digits && number);
  if (!entry || (entry.maps && !player.maps) || (entry.clip && player.isStill)) return;
  entry.act(player, entry.digits ? number : key);
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Number of the token that a key stands for, null for none. What the key writes decides: there are keyboards on which
 * Shift makes the digits.
 */
function numberOf({ key, code, shiftKey }) {
  if (/^\d$/.test(key)) return Number(key) || 10;
  const digit = /^Digit(\d)$/.exec(code);
  return digit && shiftKey ? 10 + (Number(digit[1]) || 10) : null;
}

/** Keys that the focused control itself answers. */
function leaveAlone(event) {
  const target = event.composedPath()[0];
  if (target.matches("select")) return true;
  if (target.matches("button")) return event.key === " " || event.key === "Enter";
  const slides = /^(Arrow|Home|End|Page)/.test(event.key);
  return slides && (target.matches("[data-set]") || target.matches(".divider"));
}
