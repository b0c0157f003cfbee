// Building and changing the page. Text becomes text nodes and nothing else: there is no way from a string to
// markup in here, and the page's policy (trusted types) would refuse one.

const SVG = "http://www.w3.org/2000/svg";

/// `h("button.quiet", {type: "button", onclick: act}, "Pause")`.
export function h(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  return filled(node, attributes, children);
}

/// The same for SVG.
export function s(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElementNS(SVG, tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  return filled(node, attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else attribute(node, name, value);
  }
  for (const child of children) if (child != null) node.append(child);
  return node;
}

/// Sets an attribute, or takes it away; nothing is touched that is so already.
export function attribute(node, name, value) {
  if (value == null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/// Sets the text of a node that has nothing but text.
export function say(node, text) {
  if (node.said !== text) {
    node.said = text;
    node.textContent = text;
  }
}

/// Shows or hides.
export function show(node, yes) {
  if (node.hidden === Boolean(yes)) node.hidden = !yes;
}

/// Makes the children of a node those of `items`, in their order. A child is made once for each key, keeps its
/// place and its focus, and is then only told what is new.
export function keyed(parent, items, keyOf, make) {
  const known = (parent.keyed ??= new Map());
  const seen = new Set();
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let child = known.get(key);
    if (!child) known.set(key, (child = make(item)));
    child.update?.(item);
    if (child.node === at) at = at.nextSibling;
    else parent.insertBefore(child.node, at);
  }
  for (const [key, child] of known) {
    if (!seen.has(key)) {
      child.node.remove();
      known.delete(key);
    }
  }
}

/// A picture of 16 by 16, drawn with strokes in the colour of the text. What it says is also said in words.
export function icon(name) {
  return s("svg.icon", {viewBox: "0 0 16 16", "aria-hidden": "true"}, s("path", {d: ICONS[name] ?? ICONS.dot}));
}

const ICONS = {
  dot: "M8 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3",
  live: "M3 8.5 6.5 12 13 4.5",
  verify: "M8 2.5a5.5 5.5 0 1 0 5.5 5.5M8 5v3l2 1.5",
  canary: "M2 12h3c3 0 3-7 6-7h3M11.5 2.5 14 5l-2.5 2.5M2 12h12",
  watch: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6",
  person: "M8 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M3 13.5c.4-2.7 2.3-4 5-4s4.6 1.3 5 4",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  hold: "M4 2.5h8M4 13.5h8M5 2.5c0 3 3 3.5 3 5.5s-3 2.5-3 5.5M11 2.5c0 3-3 3.5-3 5.5s3 2.5 3 5.5",
  back: "M6.5 3.5 3 7l3.5 3.5M3 7h6.5a3.5 3.5 0 0 1 0 7H7",
  forward: "M3 8h10M9 4l4 4-4 4",
  warn: "M8 2.5 14.5 13.5H1.5zM8 6.5v3.5M8 11.8v.2",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  snow: "M8 2v12M2.8 5l10.4 6M13.2 5 2.8 11M6.5 3 8 4.3 9.5 3M6.5 13 8 11.7 9.5 13",
  key: "M10.5 2.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8.3 7.7 2.5 13.5M4.5 11.5l1.7 1.7",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  help: "M6 6a2 2 0 1 1 2.8 1.9c-.6.3-.8.7-.8 1.6M8 11.8v.2",
  down: "M4 4l8 8M12 4l-8 8",
  up: "M3 8.5 6.5 12 13 4.5",
};
