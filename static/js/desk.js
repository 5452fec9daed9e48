// Verbs open as dialogs; without this script each has a page of its own. Canned texts are put into the form.
(() => {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "");
  document.body.append(dialog);
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const answer = await fetch(link.href + "?fragment=1", { credentials: "same-origin" });
      if (!answer.ok) { location.assign(link.href); return; }
      dialog.innerHTML = await answer.text();
      dialog.setAttribute("aria-label", link.textContent.trim());
      dialog.showModal();
    }
    if (event.target.closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  document.addEventListener("change", (event) => {
    const select = event.target.closest("select[data-canned]");
    if (!select || !select.value) return;
    const area = select.closest("form").querySelector("textarea");
    area.value = (area.value ? area.value + "\n\n" : "") + document.getElementById(select.value).content.textContent;
    select.value = "";
    area.focus();
  });
})();
