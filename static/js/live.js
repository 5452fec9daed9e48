// Asks for fresh fragments every 15 s, in a visible tab only; unchanged fragments answer 304 and stay as they are.
(() => {
  const etags = new Map();
  async function refresh(element) {
    const url = element.dataset.live;
    const headers = { "HX-Request": "true" };
    if (etags.has(url)) headers["If-None-Match"] = etags.get(url);
    const answer = await fetch(url, { headers, credentials: "same-origin", redirect: "manual" });
    if (answer.status !== 200) return;
    if (answer.headers.get("ETag")) etags.set(url, answer.headers.get("ETag"));
    const open = [...element.querySelectorAll("details[open][id]")].map((details) => details.id);
    const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 4;
    element.innerHTML = await answer.text();
    for (const id of open) element.querySelector("#" + CSS.escape(id))?.setAttribute("open", "");
    document.dispatchEvent(new Event("htmx:afterSwap"));
    if (atEnd && element.dataset.liveFollow) window.scrollTo(0, document.body.scrollHeight);
  }
  function tick() {
    if (document.visibilityState !== "visible") return;
    for (const element of document.querySelectorAll("[data-live]")) {
      if (element.contains(document.activeElement)) continue;
      refresh(element).catch(() => {});
    }
  }
  setInterval(tick, 15000);
  document.addEventListener("visibilitychange", tick);
})();
