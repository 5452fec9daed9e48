// Passkeys: asks the browser to make or use one, and sends what it says with the form around the button.
// The server's challenge stands in a <script type="application/json">, or is fetched from data-passkey-options.
(() => {
  const forms = document.querySelectorAll("form[data-passkey]");
  const isAble = Boolean(window.PublicKeyCredential && window.webauthnJSON);

  function read(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  async function asked(form) {
    if (!form.dataset.passkeyOptions) return read("passkey-data").request_options;
    const answer = await fetch(form.dataset.passkeyOptions, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).request_options;
  }

  async function made(form) {
    const options = read("passkey-data").creation_options;
    const alone = form.elements.passwordless;
    const isAlone = Boolean(alone && alone.checked);
    const wanted = options.publicKey.authenticatorSelection;
    wanted.residentKey = isAlone ? "required" : "discouraged";
    wanted.requireResidentKey = isAlone;
    if (isAlone) wanted.userVerification = "required";
    return window.webauthnJSON.create(options);
  }

  async function go(form) {
    const isNew = form.dataset.passkey === "make";
    const found = isNew ? await made(form) : await window.webauthnJSON.get(await asked(form));
    form.elements.credential.value = JSON.stringify(found);
    form.submit();
  }

  for (const form of forms) {
    const trouble = form.querySelector("[data-passkey-trouble]");
    const button = form.querySelector("[data-passkey-button]");
    if (!isAble) continue; // the words for browsers without passkeys stay
    form.querySelector("[data-passkey-without]")?.remove();
    button.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      trouble.hidden = true;
      button.disabled = true;
      go(form).catch(() => { trouble.hidden = false; button.disabled = false; });
    });
  }
})();
