// Numbers and times as a person reads them. `formatWeight` follows tokenlearner/palette.py.

/** Weight with two significant digits: "6.1 %" for shares, "0.61" otherwise. */
export function formatWeight(value, percent) {
  const shown = percent ? value * 100 : value;
  const most = percent ? 2 : 3;
  const suffix = percent ? " %" : "";
  const least = 10 ** -most;
  if (shown > 0 && shown < least) return `<${least.toFixed(most)}${suffix}`;
  const rounded = Number(shown.toPrecision(2));
  const decimals = rounded === 0 ? 0 : Math.min(Math.max(1 - Math.floor(Math.log10(rounded)), 0), most);
  return `${rounded.toFixed(decimals)}${suffix}`;
}

/** Seconds as "3.20", from a minute on as "1:03.20". */
export function formatTime(seconds) {
  const safe = Number.isFinite(seconds) ? Math.max(seconds, 0) : 0;
  if (safe < 60) return safe.toFixed(2);
  const minutes = Math.floor(safe / 60);
  return `${minutes}:${(safe - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

/** [red, green, blue] of "#rrggbb". */
export function parseColor(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** CSS gradient along a colour table of 256 RGB triples. */
export function heatGradient(heat) {
  const stops = [];
  for (let i = 0; i <= 16; i++) {
    const level = Math.min(i * 16, 255) * 3;
    stops.push(`rgb(${heat[level]} ${heat[level + 1]} ${heat[level + 2]})`);
  }
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** CSS gradient of hard steps, one a colour. */
export function stepGradient(colors) {
  const stops = colors.map((color, i) => `${color} ${(100 * i) / colors.length}% ${(100 * (i + 1)) / colors.length}%`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
