// The page's address as a link to what it shows.

/** The address of this page with these parameters and no others. */
export function linkTo(parameters) {
  const url = new URL(window.location.href);
  url.search = new URLSearchParams(parameters).toString();
  url.hash = "";
  return url.href;
}

/** Makes a link the page's address, without a new entry in the history. */
export function showLink(href) {
  if (href !== window.location.href) window.history.replaceState(window.history.state, "", href);
}

/** Copies a link; false where the browser does not let a page do that, as without a secure connection. */
export async function copyLink(href) {
  try {
    await navigator.clipboard.writeText(href);
    return true;
  } catch {
    return false;
  }
}
