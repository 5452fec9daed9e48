// A draft survives a closed tab: texts of form[data-draft] are kept in this browser until they are sent.
(() => {
  const sent = document.querySelector("[data-draft-sent]");
  if (sent) localStorage.removeItem("draft:" + sent.dataset.draftSent);
  for (const form of document.querySelectorAll("form[data-draft]")) {
    const key = "draft:" + form.dataset.draft;
    const fields = () => [...form.elements].filter((field) => field.matches("textarea, input[type=text]") && field.name);
    const kept = JSON.parse(localStorage.getItem(key) || "{}");
    for (const field of fields()) if (!field.value && kept[field.name]) field.value = kept[field.name];
    form.addEventListener("input", () => {
      localStorage.setItem(key, JSON.stringify(Object.fromEntries(fields().map((field) => [field.name, field.value]))));
    });
    form.addEventListener("submit", () => {
      sessionStorage.setItem("draft-sent", key);
      for (const button of form.querySelectorAll("button[type=submit]")) setTimeout(() => { button.disabled = true; });
    });
  }
  const done = sessionStorage.getItem("draft-sent");
  if (done && !document.querySelector(".error-summary")) localStorage.removeItem(done);
  sessionStorage.removeItem("draft-sent");
})();
