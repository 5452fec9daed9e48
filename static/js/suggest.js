// While the title is typed, shows published articles that may already help.
(() => {
  const box = document.querySelector("[data-suggest]");
  const input = box && document.getElementById(box.dataset.suggestFrom);
  if (!input) return;
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await fetch(box.dataset.suggest + "?title=" + encodeURIComponent(input.value), { credentials: "same-origin" });
      if (answer.ok) box.innerHTML = await answer.text();
    }, 400);
  });
})();
