// Questions to the person in front of the page. Each is a promise of an answer; Escape is always "no".

import {h, icon, show} from "./dom.js";
import {token} from "./token.js";

/// Asks with a title, sentences, fields and one button; answers with the values of the fields, or `null`.
/// A field is `{name, label, type, hint, required, options, must}`; with `must` only that text will do.
export function question(title, sentences, fields, button, tone = "plain") {
  return new Promise((resolve) => {
    const inputs = new Map();
    const go = h(`button.go.${tone}`, {type: "submit"}, button);
    const check = () => {
      go.disabled = fields.some((it) => (it.must != null && inputs.get(it.name).value !== it.must) || (it.required && !inputs.get(it.name).value.trim()));
    };
    const rows = fields.map((it) => {
      const id = `field-${++count}`;
      const more = {id, name: it.name, autocomplete: "off", spellcheck: "false", oninput: check, onchange: check, "aria-describedby": it.hint ? `${id}-hint` : null};
      let input;
      if (it.options) input = h("select", more, ...it.options.map(([value, text]) => h("option", {value}, text)));
      else input = h("input", {...more, type: it.type ?? "text", maxlength: it.type === "checkbox" ? null : "4096"});
      inputs.set(it.name, input);
      const label = h("label", {for: id}, it.label);
      const hint = it.hint ? h("p.hint", {id: `${id}-hint`}, it.hint) : null;
      return it.type === "checkbox" ? h("div.field.check", {}, input, label, hint) : h("div.field", {}, label, input, hint);
    });
    const form = h("form", {method: "dialog"}, h("h2", {id: `title-${++count}`}, title), ...sentences.filter(Boolean).map((it) => h("p", {}, it)), ...rows,
      h("div.buttons", {}, h("button.quiet", {type: "button", onclick: () => close(null)}, "Cancel"), go));
    const dialog = h("dialog", {"aria-labelledby": `title-${count}`}, form);
    const before = document.activeElement;
    let answer = null;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      close(Object.fromEntries([...inputs].map(([name, it]) => [name, it.type === "checkbox" ? it.checked : it.value.trim()])));
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus?.();
      resolve(answer);
    });
    document.body.append(dialog);
    check();
    dialog.showModal();
    (fields.length ? inputs.get(fields[0].name) : go).focus();
  });
}

/// Asks for the token. Two questions at once are one.
let asking = null;
export function askForToken(why, detail) {
  asking ??= question("A token is needed", [why, detail ? `${detail[0].toUpperCase()}${detail.slice(1)}.` : null], [
    {name: "token", label: "Token", type: "password", required: true, hint: "It is kept in the memory of this page, and sent to nobody but this server."},
    {name: "tab", label: "Keep it until this tab is closed", type: "checkbox"},
  ], "Use it").then((answer) => {
    asking = null;
    if (!answer) return false;
    token.keep(answer.token, answer.tab);
    return true;
  });
  return asking;
}

/// A short note of what was done, or not. Those that say "no" stay until they are closed.
export function note(text, tone = "good") {
  const list = document.getElementById("notes");
  const item = h(`div.note.${tone}`, {role: tone === "good" ? "status" : "alert"}, icon(tone === "good" ? "up" : "warn"), h("p", {}, h("bdi", {}, text)),
    h("button.quiet", {type: "button", "aria-label": "Close this note", onclick: () => item.remove()}, icon("down")));
  list.append(item);
  while (list.children.length > 4) list.firstChild.remove();
  if (tone === "good") setTimeout(() => item.remove(), 8000);
}

/// What the keys do.
export function help(shortcuts) {
  if (document.querySelector("dialog.help")) return;
  const on = h("input", {type: "checkbox", id: "keys-on", onchange: () => shortcuts.set(on.checked)});
  on.checked = shortcuts.on;
  const row = ([keys, what]) => h("tr", {}, h("th", {scope: "row"}, ...keys.split(" ").map((it) => h("kbd", {}, it))), h("td", {}, what));
  const dialog = h("dialog.help", {"aria-labelledby": "help-title"}, h("h2", {id: "help-title"}, "Keys"),
    h("table", {}, h("tbody", {}, ...KEYS.map(row))),
    h("p.hint", {}, "No key changes a release: keys lead to a button, Enter or Space presses it."),
    h("div.field.check", {}, on, h("label", {for: "keys-on"}, "Single keys are shortcuts")),
    h("div.buttons", {}, h("button.go.plain", {type: "button", autofocus: true, onclick: () => dialog.close()}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  show(dialog, true);
}

const KEYS = [
  ["/", "search"],
  ["j k", "next and previous service in the table"],
  ["Enter", "open it"],
  ["Esc", "back to all services"],
  ["r", "go to Roll back"],
  ["p", "go to Promote"],
  ["← →", "move through a chart that has the focus"],
  ["?", "this help"],
];

let count = 0;
