// Numbers and times as a person reads them. `formatWeight` follows tokenlearner/palette.py, `formatShare` and
// `formatPoints` follow app/text.py and app/desk.

/** Weight with two significant digits: "6.1 %" for shares, "0.61" otherwise. */
export function formatWeight(value, percent) {
  const shown = percent ? value * 100 : value;
  const most = percent ? 2 : 3;
  const suffix = percent ? " %" : "";
  const least = 10 ** -most;
  return shown > 0 && shown < least ? `<${least.toFixed(most)}${suffix}` : `${twoDigits(shown, most)}${suffix}`;
}

/** A probability in percent with two significant digits, and one decimal between 99 and 100: "6.1 %". */
export function formatShare(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value > 99 && value < 100 ? Math.min(value, 99.9).toFixed(1) : twoDigits(value, 2)} %`;
}

/** A difference of probabilities in percentage points, with its sign: "+2.1", "−14". */
export function formatPoints(difference) {
  const size = Math.abs(difference);
  return size < 0.0005 ? "0" : `${difference < 0 ? "−" : "+"}${twoDigits(100 * size, 2)}`;
}

/** Two significant digits, with at most so many decimals. */
function twoDigits(value, most) {
  const rounded = Number(value.toPrecision(2));
  const decimals = rounded === 0 ? 0 : Math.min(Math.max(1 - Math.floor(Math.log10(rounded)), 0), most);
  return rounded.toFixed(decimals);
}

/** Seconds as "3.20", from a minute on as "1:03.20". */
export function formatTime(seconds) {
  const hundredths = Number.isFinite(seconds) ? Math.round(Math.max(seconds, 0) * 100) : 0;
  const rest = ((hundredths % 6000) / 100).toFixed(2);
  return hundredths < 6000 ? rest : `${Math.floor(hundredths / 6000)}:${rest.padStart(5, "0")}`;
}

/** The same with its unit where it has none: "3.20 s", "1:03.20". */
export function formatMoment(seconds) {
  const text = formatTime(seconds);
  return text.includes(":") ? text : `${text} s`;
}

/** A time as it is read aloud: "3.20 seconds", "1 minute 3.20 seconds". */
export function spokenTime(seconds) {
  const [rest, minutes] = formatTime(seconds).split(":").reverse();
  return `${minutes ? `${minutes} minute${minutes === "1" ? "" : "s"} ` : ""}${Number(rest).toFixed(2)} seconds`;
}
