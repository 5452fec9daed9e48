// A long upload shows its progress. Without this script the browser's own indicator does.
(() => {
  for (const form of document.querySelectorAll("form[enctype='multipart/form-data']")) {
    form.addEventListener("submit", (event) => {
      const files = [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
      if (!files.some((file) => file.size > 1000000)) return;
      event.preventDefault();
      const bar = document.createElement("progress");
      bar.max = 100;
      bar.setAttribute("aria-label", form.dataset.uploading || "Upload");
      form.append(bar);
      const request = new XMLHttpRequest();
      request.open("POST", form.action || location.href);
      request.upload.addEventListener("progress", (e) => { if (e.lengthComputable) bar.value = (e.loaded / e.total) * 100; });
      request.addEventListener("load", () => {
        if (request.responseURL && request.status === 200 && request.responseURL !== (form.action || location.href)) {
          location.assign(request.responseURL);
          return;
        }
        document.open(); document.write(request.responseText); document.close();
      });
      request.addEventListener("error", () => { bar.remove(); form.submit(); });
      request.send(new FormData(form));
    });
  }
})();
