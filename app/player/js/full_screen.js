// Full screen, or filling the window where the browser refuses it (phones of one make).

export function isFull(root) {
  return root.getRootNode().fullscreenElement === root || root.classList.contains("full");
}

export async function toggleFullScreen(root) {
  if (root.classList.contains("full")) root.classList.remove("full");
  else if (isFull(root)) await document.exitFullscreen();
  else {
    try {
      await root.requestFullscreen();
    } catch {
      root.classList.add("full");
    }
  }
}
