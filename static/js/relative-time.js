// Keeps "in 12 min" true while a page stays open. Without it the text says what was true at loading.
(() => {
  const format = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto", style: "short" });
  const steps = [["day", 86400], ["hour", 3600], ["minute", 60]];
  function words(seconds) {
    for (const [unit, size] of steps) {
      if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
    }
    return format.format(seconds < 0 ? -1 : 1, "minute");
  }
  function refresh() {
    for (const element of document.querySelectorAll("time[data-relative]")) {
      const target = element.querySelector(".relative");
      if (target) target.textContent = "(" + words((new Date(element.dateTime) - Date.now()) / 1000) + ")";
    }
  }
  refresh();
  setInterval(refresh, 30000);
  document.addEventListener("htmx:afterSwap", refresh);
})();
