// Components and the reruns of a page.

/**
 * Keeps one object for each element of a component, through all reruns of the page.
 *
 * @param {string} selector - The element, in what Streamlit mounts.
 * @param {(root: Element) => {destroy(): void}} make - Called once for each element.
 * @returns {(parentElement: Element, update: (made: object) => void) => () => void} To be called with each mount, and
 *   its result given to Streamlit.
 */
export function keepMounted(selector, make) {
  const kept = new WeakMap();
  return (parentElement, update) => {
    const root = parentElement.querySelector(selector);
    let held = kept.get(root);
    if (!held) kept.set(root, (held = { made: make(root), calls: 0 }));
    update(held.made);
    const call = ++held.calls;
    // Streamlit also runs the cleanup of a call that a later one overtook: only the last one ends the object.
    return () => {
      if (held.calls !== call) return;
      held.made.destroy();
      kept.delete(root);
    };
  };
}
