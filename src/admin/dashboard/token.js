// The token: in memory, or for this tab if somebody says so. Never in a URL, a cookie or a lasting store.

const KEY = "tidegate-token";

class Token {
  constructor() {
    this.text = sessionStorage.getItem(KEY) ?? "";
    this.watchers = [];
  }

  /// What a request has to carry.
  header() {
    return this.text ? {authorization: `Bearer ${this.text}`} : {};
  }

  keep(text, forTab) {
    this.text = text;
    if (forTab) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
    this.watchers.forEach((it) => it());
  }

  forget() {
    this.keep("", false);
  }

  get known() {
    return this.text !== "";
  }
}

export const token = new Token();
