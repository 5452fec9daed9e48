// A draft survives a closed tab: texts of form[data-draft] are kept in this browser until they are sent.
(() => {
  // First forget what was sent: the page after it often has the same form again.
  const done = sessionStorage.getItem("draft-sent");
  if (done && !document.querySelector(".error-summary")) localStorage.removeItem(done);
  sessionStorage.removeItem("draft-sent");
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
})();
