// Mouse, pen and finger on the stage: hover reads, click or tap pins, the divider is dragged.
import { listenUntil } from "../../js/dom.js";
import { cellAt } from "./geometry.js";

/** Wires the canvas and the divider of a player. */
export function listenToPointer(player) {
  const canvas = player.root.querySelector(".overlay");
  const divider = player.root.querySelector(".divider");
  const on = listenUntil(player.stopped.signal);
  const at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
  };
  on(canvas, "pointermove", (event) => player.hover(at(event)));
  on(canvas, "pointerdown", (event) => {
    player.root.focus({ preventScroll: true });
    player.hover(at(event));
  });
  on(canvas, "pointerleave pointercancel", () => player.hover(null));
  on(canvas, "click", (event) => {
    if (!player.maps) return; // the pin waits for maps
    player.pinAt(placeAt(player, at(event)));
    if (event.pointerType === "touch") player.hover(null);
  });

  on(divider, "pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  on(divider, "pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const { picture } = player.tiles[0];
    player.setDivider((at(event).x - picture.x) / picture.w);
  });
  on(divider, "keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    player.moveDivider(step);
    event.preventDefault();
    event.stopPropagation();
  });
}

/** Cell {row, col} of the maps under a point on the stage, or null. */
export function placeAt(player, point) {
  if (!player.maps) return null;
  for (const { area } of player.tiles) {
    const cell = cellAt(point, area, player.maps.rows, player.maps.cols);
    if (cell) return cell;
  }
  return null;
}
