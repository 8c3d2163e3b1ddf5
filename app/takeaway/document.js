// The file's own script: shows the player and the predictions that lie in this file. `mounts` holds their entries.

/** Gives a component its own tree, as the app does, so that their styles do not meet. */
function host(name) {
  const root = document.getElementById(name).attachShadow({ mode: "open" });
  root.append(document.getElementById(`${name}-parts`).content.cloneNode(true));
  return root;
}

function heldBytes(id) {
  const letters = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

const said = JSON.parse(document.getElementById("said").textContent);
mounts.predictions({ data: said, parentElement: host("predictions") });
mounts.player({ data: heldBytes("payload"), parentElement: host("player") });
