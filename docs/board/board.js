"use strict";
(() => {
  const root = document.documentElement;
  const all = (what, from = document) => [...from.querySelectorAll(what)];
  const one = (what, from = document) => from.querySelector(what);

  // A page opened as a file may have no storage.
  const kept = {
    get: () => { try { return localStorage.getItem("lossproof-theme"); } catch { return null; } },
    set: (v) => { try { localStorage.setItem("lossproof-theme", v); } catch { /* then it is for this page only */ } },
  };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  one("#theme").hidden = false;
  one("#theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    kept.set(root.dataset.theme);
  });

  // --- search over all pages: the index is a script, because a file may not fetch another ---
  const find = one(".find"), box = one("#search"), hits = one("#hits"), said = one("#found");
  const up = root.dataset.up;
  const most = 12;
  find.hidden = false;
  function search() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    hits.textContent = "";
    hits.hidden = !words.length;
    box.setAttribute("aria-expanded", String(!hits.hidden));
    said.textContent = "";
    if (!words.length) return;
    const ranked = [];
    for (const [title, kind, address, text] of window.LOSSPROOF_BOARD || []) {
      const head = title.toLowerCase(), body = `${head} ${kind} ${text}`.toLowerCase();
      if (words.every((w) => body.includes(w))) {
        ranked.push([words.every((w) => head.startsWith(w)) ? 0 : words.every((w) => head.includes(w)) ? 1 : 2, title, kind, address]);
      }
    }
    ranked.sort((a, b) => a[0] - b[0]);
    for (const [, title, kind, address] of ranked.slice(0, most)) {
      const item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
      link.href = up + address;
      link.textContent = title;
      small.textContent = kind;
      link.append(small);
      item.append(link);
      hits.append(item);
    }
    said.textContent = ranked.length ? `${ranked.length} found` : "nothing found";
    if (!ranked.length) {
      const item = document.createElement("li");
      item.className = "nothing";
      item.textContent = "Nothing found";
      hits.append(item);
    }
  }
  box.addEventListener("input", search);
  box.addEventListener("focus", search);
  find.addEventListener("keydown", (e) => {
    const links = all("a", hits), at = links.indexOf(document.activeElement);
    if (e.key === "Escape") { hits.hidden = true; box.setAttribute("aria-expanded", "false"); box.focus(); hits.hidden = true; }
    if (e.key === "ArrowDown" && links.length) { e.preventDefault(); links[Math.min(at + 1, links.length - 1)].focus(); }
    if (e.key === "ArrowUp" && links.length) { e.preventDefault(); if (at > 0) links[at - 1].focus(); else box.focus(); }
    if (e.key === "Enter" && document.activeElement === box && links.length) { e.preventDefault(); links[0].click(); }
  });
  document.addEventListener("click", (e) => { if (!find.contains(e.target)) { hits.hidden = true; box.setAttribute("aria-expanded", "false"); } });
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !e.target.matches("input, select, textarea")) { e.preventDefault(); box.focus(); }
  });

  // --- the table of all implementations ---
  const matrix = one(".matrix");
  if (matrix) {
    const tools = one("#tools");
    tools.hidden = false;
    const chosen = (name) => one(`input[name=${name}]:checked`, tools).value;
    const show = () => {
      matrix.dataset.metric = chosen("metric");
      const op = chosen("op");
      for (const cell of all("[data-op]", matrix)) cell.hidden = op !== "all" && cell.dataset.op !== op;
      const words = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      for (const row of all("tbody tr", matrix)) {
        row.hidden = !words.every((w) => row.dataset.text.includes(w));
        n += !row.hidden;
      }
      one("#rows").textContent = words.length ? `${n} shown` : "";
    };
    // A phone has room for one op; cross-entropy is the last of them.
    if (innerWidth < 760) all("input[name=op]", tools).at(-1).checked = true;
    tools.addEventListener("input", show);
    show();
  }
  const list = one("#narrow");
  if (list) {
    list.closest(".tools").hidden = false;
    list.addEventListener("input", () => {
      const words = list.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const item of all(".cards > li")) item.hidden = !words.every((w) => item.textContent.toLowerCase().includes(w));
    });
  }

  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = one("code", button.parentElement);
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  root.dataset.drawn = "yes";
})();
