// While a form is typed, shows what the server says of it so far. Without this script a button asks for the same.
(() => {
  const form = document.querySelector("form[data-preview]");
  const box = form && document.getElementById(form.dataset.previewInto);
  if (!box) return;
  const skipped = new Set([...(form.dataset.previewSkip || "").split(" "), "csrfmiddlewaretoken"]);
  let timer, asked = 0;
  async function refresh() {
    const query = new URLSearchParams([...new FormData(form)].filter(([name]) => !skipped.has(name)));
    const mine = ++asked;
    const answer = await fetch(`${form.dataset.preview}?${query}`, { credentials: "same-origin" });
    if (answer.ok && mine === asked) {
      const text = await answer.text();
      if (mine === asked && box.innerHTML !== text) box.innerHTML = text;
    }
  }
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => refresh().catch(() => {}), 400); });
})();
