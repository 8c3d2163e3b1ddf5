"""A component of ours on a bare page, mounted as Streamlit does, without Streamlit."""

from pathlib import Path

from playwright.sync_api import Page

from app.scripts import texts

ORIGIN = "http://bare.test/"
MOUNT = """async ([name, html, css]) => {
  const { default: mount } = await import(`./${name}.js`);
  const shadow = document.body.appendChild(document.createElement("div")).attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  shadow.adoptedStyleSheets = [sheet];
  shadow.append(document.createRange().createContextualFragment(html));
  const one = { told: [], shadow };
  const setStateValue = (state, value) => one.told.push([state, value]);
  one.show = (data) => { one.leave = mount({ data, parentElement: shadow, setStateValue }); };
  window[name] = one;
}"""


def open_bare(page: Page) -> None:
    """Go to an empty page that components can be put on."""
    page.route(ORIGIN, lambda route: route.fulfill(body="<!DOCTYPE html><body>", content_type="text/html"))
    page.goto(ORIGIN)


def put(page: Page, files: Path) -> None:
    """Put a component on the page, beside those that are there.

    In the page, the component's name is an object: `show(data)` draws it, as a rerun of the page's script does,
    `told` lists what it told Python as [state, value], `leave` is what Streamlit calls when it is taken away, and
    `shadow` is where it lives.

    Args:
        page: Which `open_bare` opened.
        files: Path of the component's `.html`, `.css` and `.js` without the ending.
    """
    html, css, script = texts(files)
    page.route(f"{ORIGIN}{files.name}.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    page.evaluate(MOUNT, [files.name, html, css])
