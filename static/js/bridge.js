// The live bridge: one conditional request every few seconds brings the parts that changed, and only those are put in.
(() => {
  const { url, seconds, hiddenSeconds, etag: first } = document.currentScript.dataset;
  const connection = document.getElementById("bridge-connection");
  const heard = document.getElementById("bridge-heard");
  const shown = new Map([...document.querySelectorAll("[data-part]")].map((part) => [part.id, part.innerHTML]));
  let etag = first, failures = 0, timer = 0, isAsking = false, since = new Date();

  function announce(place, before) {
    const said = [...place.querySelectorAll("li[id]")].filter((item) => !before.has(item.id));
    if (said.length) heard.textContent = said.slice(0, 3).map((item) => item.textContent.replace(/\s+/g, " ").trim().slice(0, 300)).join(". ");
  }
  function put(part) {
    const place = document.getElementById(part.id);
    if (!place || shown.get(part.id) === part.innerHTML) return;
    shown.set(part.id, part.innerHTML);
    const open = [...place.querySelectorAll("details[open][id]")].map((details) => details.id);
    const before = new Set([...place.querySelectorAll("li[id]")].map((item) => item.id));
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = part.innerHTML;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if ("announce" in place.dataset) announce(place, before);
  }
  async function ask() {
    const answer = await fetch(url, { headers: { "If-None-Match": etag }, credentials: "same-origin", redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.type === "opaqueredirect" || answer.status === 404) return false;
    if (answer.status !== 200 && answer.status !== 304) throw new Error(answer.status);
    if (answer.status === 200) {
      const box = document.createElement("template");
      box.innerHTML = await answer.text();
      etag = answer.headers.get("ETag") || "";
      box.content.querySelectorAll("[data-part]").forEach(put);
      document.dispatchEvent(new Event("htmx:afterSwap"));
    }
    return true;
  }
  function say(words) { if (connection.textContent !== words) connection.textContent = words; }
  async function turn() {
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    try {
      if (!(await ask())) { say(connection.dataset.gone); return; }
      failures = 0; since = new Date(); say("");
    } catch {
      failures += 1;
      const format = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
      say(connection.dataset.lost + " " + format.format(since) + ".");
    }
    isAsking = false;
    plan();
  }
  function plan() {
    clearTimeout(timer);
    const isSeen = document.visibilityState === "visible";
    const usual = Number(isSeen ? seconds : hiddenSeconds);
    if (usual) timer = setTimeout(turn, Math.min(60, usual * 2 ** failures) * (900 + 200 * Math.random()));
  }
  document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? turn() : plan()));
  plan();
})();
