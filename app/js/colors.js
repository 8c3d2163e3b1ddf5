// Colours as numbers and as CSS: of tokens, of the ink on them, and of legends.

/** [red, green, blue] of "#rrggbb". */
export function parseColor(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** Black or white, whichever stands out more on [red, green, blue] (as text_color_on in tokenlearner/palette.py). */
export function inkOn(color) {
  const [r, g, b] = color.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) ** 2 > 0.05 * 1.05 ? "#000" : "#fff";
}

/** Gives an element a token's colour, and the ink for text on it, as CSS variables. */
export function wear(element, hex) {
  element.style.setProperty("--color", hex);
  element.style.setProperty("--ink", inkOn(parseColor(hex)));
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
