// Keeps the page current without losing what is open: fetches it again and swaps <main> when it changed.
"use strict";
(() => {
  const EVERY_MS = 10000;
  let tag = "";
  const openIds = () => new Set([...document.querySelectorAll("details[open][id]")].map((one) => one.id));
  const shutIds = () => new Set([...document.querySelectorAll("details:not([open])[id]")].map((one) => one.id));

  async function refresh() {
    if (document.hidden || document.getSelection().type === "Range") return;
    const answer = await fetch(location.pathname, tag ? { headers: { "If-None-Match": tag } } : {});
    if (answer.status !== 200 || answer.headers.get("ETag") === tag) return;
    tag = answer.headers.get("ETag") || "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [open, shut] = [openIds(), shutIds()];
    document.getElementById("main").replaceWith(fresh.getElementById("main"));
    document.querySelector(".asof").replaceWith(fresh.querySelector(".asof"));
    document.title = fresh.title;
    for (const one of document.querySelectorAll("details[id]")) {
      if (open.has(one.id)) one.open = true;
      if (shut.has(one.id)) one.open = false;
    }
  }

  const stale = (is) => document.body.classList.toggle("stale", is);
  setInterval(() => refresh().then(() => stale(false), () => stale(true)), EVERY_MS);
})();
